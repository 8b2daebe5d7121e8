"""Predicted times, memory and traces of a plan: wsic explain, wsic compile --rates, wsirun bench."""
import json
import unittest
import xml.etree.ElementTree as xml

from programs import INVALID, IO, RESOURCES, USAGE, ProgramTest, run

RATES = {"device": "test", "matrix_flops_fp32": 1e9, "matrix_flops_half": 2e9, "vector_flops": 1e9,
         "memory_bytes": 1e9, "in_bytes": 1e9, "out_bytes": 1e9, "read_bytes": 1e9,
         "write_bytes": 1e9, "launch_seconds": 1e-3, "copy_seconds": 1e-3}


class Explain(ProgramTest):
    def write_rates(self, **changes):
        path = self.folder / "rates.json"
        path.write_text(json.dumps({**RATES, **changes}), encoding="utf-8")
        return path

    def explain(self, plan, *options):
        return json.loads(self.succeed("wsic", "explain", plan, "--json", *options).stdout)

    def test_text_names_the_peak_and_the_largest_buffer(self):
        plan = self.compile_tiny()
        text = self.succeed("wsic", "explain", plan, "--largest", 1).stdout
        found = self.explain(plan, "--largest", 1)
        self.assertIn("peak at instruction "
                      f"{found['tiers']['device']['peak_instruction']} ", text)
        self.assertIn(found["largest_buffers"][0]["name"], text.splitlines()[-1])
        self.assertEqual(len(found["largest_buffers"]), 1)

    def test_both_programs(self):
        plan = self.compile_tiny()
        train = self.explain(plan)
        self.assertEqual(train["program"], "train")
        self.assertEqual(self.explain(plan, "--program", "train"), train)
        infer = self.explain(plan, "--program", "infer")
        self.assertLess(infer["predicted_step_ms"], train["predicted_step_ms"])
        self.fail_with(USAGE, "wsic", "explain", plan, "--program", "test", saying="'test'")

    def test_the_peak_is_the_plans(self):
        plan = self.compile_tiny()
        device = self.explain(plan)["tiers"]["device"]
        self.assertEqual(device["peak_bytes"], max(device["live_bytes"]))
        self.assertLessEqual(device["peak_bytes"], device["arena_bytes"])
        shown = json.loads(self.succeed("wsic", "show", plan, "--json").stdout)
        self.assertEqual(device["arena_bytes"], shown["device_peak_bytes"])

    def test_what_kernels_of_cuda_take_is_in_the_arena(self):
        size = 3 << 20
        plan = self.compile_tiny("--device", "cuda", "--library-workspace", size)
        found = self.explain(plan, "--largest", 100)
        taken = {b["name"]: b["bytes"] for b in found["largest_buffers"]
                 if b["name"].startswith("workspace of")}
        self.assertEqual([taken[f"workspace of {name}"] for name in ("conv", "fc")], [size] * 2)
        self.assertGreater(taken["workspace of bn.stats"], 0)
        self.assertGreater(found["tiers"]["device"]["arena_bytes"], size)
        words = ("wsic", "compile", self.folder / "tiny.onnx", "-o", self.folder / "x.plan",
                 "--device", "cuda")
        short = run(*words, "--library-workspace", size, "--device-mem", size)
        self.assertEqual(short.returncode, RESOURCES)
        self.assertIn("the smallest device that this step fits", short.stderr)
        self.fail_with(USAGE, *words, "--library-workspace", "much", saying="--library-workspace")
        self.succeed(*words, "--library-workspace", 4096, "--device-mem", size)

    def test_rates(self):
        words = ("compile", self.folder / "tiny.onnx", "-o", self.folder / "slow.plan", "--json")
        self.compile_tiny()
        rates = self.write_rates()
        planned = json.loads(self.succeed("wsic", *words, "--rates", rates).stdout)
        plan = self.folder / "slow.plan"
        slow = self.explain(plan)
        self.assertEqual(slow["rates"], "test")  # They are in the plan.
        self.assertEqual(slow["predicted_step_ms"], planned["predicted_step_ms"])
        shown = json.loads(self.succeed("wsic", "show", plan, "--json").stdout)
        launches = [i for i in shown["programs"][0]["instructions"] if i["lane"] == "compute"]
        self.assertGreaterEqual(slow["predicted_step_ms"], len(launches))  # 1 ms each.
        fast = self.explain(plan, "--rates", "h100")
        self.assertLess(fast["predicted_step_ms"], slow["predicted_step_ms"] / 10)
        twice = self.explain(plan, "--rates", self.write_rates(launch_seconds=2e-3))
        self.assertAlmostEqual(twice["predicted_step_ms"] - slow["predicted_step_ms"],
                               len(launches), places=6)

    def test_bad_rates(self):
        plan = self.compile_tiny()
        model = self.folder / "tiny.onnx"
        cases = ((self.write_rates(memory_bytes=0), INVALID, "memory_bytes"),
                 (self.folder / "none.json", IO, "none.json"),
                 ("h900", IO, "cpu, h100, h200, v100"), (model, INVALID, "tiny.onnx"))
        for rates, code, saying in cases:
            with self.subTest(rates=str(rates)):
                self.fail_with(code, "wsic", "explain", plan, "--rates", rates, saying=saying)
                self.fail_with(code, "wsic", "compile", model, "-o", self.folder / "x.plan",
                               "--rates", rates, saying=saying)
                self.assertFalse((self.folder / "x.plan").exists())

    def test_ranks(self):
        plan = self.compile_tiny("--accumulate", 2)
        words = ("--world", 1024, "--link", 1, "--latency", 10)
        found = self.explain(plan, *words)
        rows = found["scaling"]
        self.assertEqual([row["ranks"] for row in rows], [2 ** k for k in range(1, 11)])
        self.assertEqual([row["slides_per_step"] for row in rows],
                         [2 * row["ranks"] for row in rows])
        for row in rows:
            self.assertAlmostEqual(row["step_ms"] - row["exposed_ms"], found["one_rank_step_ms"])
            self.assertAlmostEqual(row["efficiency"] * row["step_ms"], found["one_rank_step_ms"])
        for fewer, more in zip(rows, rows[1:]):
            self.assertLess(more["efficiency"], fewer["efficiency"])
        self.assertEqual(len(self.succeed("wsic", "explain", plan, *words).stdout.splitlines()),
                         4 + len(rows))
        listed = self.explain(plan, "--world", "8,3", "--rates",
                              self.write_rates(link_bytes=1e9, link_seconds=1e-5))["scaling"]
        self.assertEqual([row["ranks"] for row in listed], [8, 3])
        self.assertAlmostEqual(listed[0]["collective_ms"], rows[2]["collective_ms"])
        self.fail_with(USAGE, "wsic", "explain", plan, "--world", 4, saying="--link")
        for bad in (("--world", 0), ("--world", "2,x"), ("--world", 2, "--link", 0),
                    ("--link", 1)):
            self.assertEqual(run("wsic", "explain", plan, *bad).returncode, USAGE)

    def test_the_drawing(self):
        plan = self.compile_tiny()
        drawing = self.folder / "memory.svg"
        self.succeed("wsic", "explain", plan, "--svg", drawing)
        root = xml.parse(drawing).getroot()
        space = "{http://www.w3.org/2000/svg}"
        self.assertEqual(root.tag, space + "svg")
        titles = [title.text for title in root.iter(space + "title")]
        largest = self.explain(plan)["largest_buffers"]
        for buffer in largest:
            self.assertTrue(any(title.startswith(buffer["name"] + "\n") for title in titles))
        self.assertTrue(any(text.text.endswith(" ms") for text in root.iter(space + "text")))
        self.assertNotIn("http", drawing.read_text(encoding="utf-8").replace(space[1:-1], ""))

    def check_trace(self, path, kind):
        trace = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
        names = {event["name"]: event["args"].get("name") for event in trace if event["ph"] == "M"}
        self.assertEqual(names["process_name"], kind)
        spans = [event for event in trace if event["ph"] == "X"]
        self.assertTrue(all(event["dur"] >= 0 and event["ts"] >= 0 for event in spans))
        ends = [event["ts"] + event["dur"] for event in spans]
        for end, after in zip(ends, spans[1:]):  # One lane: one after the other.
            self.assertLessEqual(end, after["ts"] + 1e-3)
        self.assertTrue(any(event["ph"] == "C" for event in trace))
        return spans

    def test_the_predicted_trace(self):
        plan = self.compile_tiny()
        path = self.folder / "trace.json"
        found = json.loads(self.succeed("wsic", "explain", plan, "--json", "--trace", path).stdout)
        spans = self.check_trace(path, "predicted")
        self.assertEqual(len(spans), found["instructions"])
        self.assertAlmostEqual(sum(event["dur"] for event in spans) / 1e3, found["compute_ms"], 6)

    def test_the_measured_trace(self):
        plan = self.compile_tiny()
        path = self.folder / "trace.json"
        bench = json.loads(self.succeed("wsirun", "bench", plan, "--steps", 2, "--trace", path,
                                        "--json").stdout)
        found = self.explain(plan)
        self.assertEqual(bench["predicted_step_ms"], found["predicted_step_ms"])
        spans = self.check_trace(path, "measured")
        self.assertEqual(len(spans), found["instructions"])
        self.assertGreater(sum(event["dur"] for event in spans), 0)
        other = json.loads(self.succeed("wsirun", "bench", plan, "--steps", 1, "--rates",
                                        self.write_rates(), "--json").stdout)
        self.assertEqual(other["predicted_step_ms"], self.explain(
            plan, "--rates", self.folder / "rates.json")["predicted_step_ms"])
        path.write_text("earlier", encoding="utf-8")
        self.fail_with(USAGE, "wsirun", "bench", plan, "--trace", path, saying="--force")
        self.assertEqual(path.read_text(encoding="utf-8"), "earlier")

    def test_rates_fitted_to_a_step_predict_it(self):
        plan = self.compile_tiny("--rates", self.write_rates(launch_seconds=0))
        path = self.folder / "fitted.json"
        bench = json.loads(self.succeed("wsirun", "bench", plan, "--steps", 1, "--ops", "--json",
                                        "--fit-rates", path).stdout)
        measured = sum(op["ms"] for op in bench["ops"])
        predicted = self.explain(plan, "--rates", path)["compute_ms"]
        self.assertGreater(predicted, measured / 2)
        self.assertLess(predicted, measured * 2)
        self.fail_with(USAGE, "wsirun", "bench", plan, "--fit-rates", path, saying="--force")

    def test_existing_files_need_force(self):
        plan = self.compile_tiny()
        for option in ("--svg", "--trace"):
            path = self.folder / "out"
            path.write_text("earlier", encoding="utf-8")
            self.fail_with(USAGE, "wsic", "explain", plan, option, path, saying="--force")
            self.assertEqual(path.read_text(encoding="utf-8"), "earlier")
            self.succeed("wsic", "explain", plan, option, path, "--force")
            self.assertNotEqual(path.read_text(encoding="utf-8"), "earlier")

    def test_calibration_does_not_start_in_vain(self):
        path = self.write_rates()
        before = self.snapshot()
        self.fail_with(USAGE, "wsirun", "doctor", "--calibrate", "-o", path, saying="--force")
        self.assertEqual(run("wsirun", "doctor", "-o", path).returncode, USAGE)
        self.assertEqual(self.snapshot(), before)

    def test_no_plan(self):
        path = self.folder / "rates.json"
        self.write_rates()
        self.fail_with(INVALID, "wsic", "explain", path, saying="rates.json")


if __name__ == "__main__":
    unittest.main()
