#include "runtime/slides/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/slides/csv.h"
#include "tests/slides/slide_files.h"

namespace wsi {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const ManifestOptions kNoFiles = {.files_must_exist = false};

Result<Manifest> Parse(const std::string& text, const ManifestOptions& options = kNoFiles) {
  return ParseManifest(text, "data/slides.csv", options);
}

// The message of the one error in `text`, which must be kInvalidInput and name the file.
std::string ErrorOf(const std::string& text, const ManifestOptions& options = kNoFiles) {
  const Result<Manifest> manifest = Parse(text, options);
  if (manifest.ok()) return "no error";
  EXPECT_EQ(manifest.status().code(), ErrorCode::kInvalidInput);
  EXPECT_THAT(manifest.status().message(), testing::StartsWith("data/slides.csv: "));
  return manifest.status().message();
}

TEST(CsvTest, QuotesBomAndLineEnds) {
  const auto records = ParseCsv(
                           "\xEF\xBB\xBF"
                           "a,b\r\n\"x, \"\"y\"\"\r\nz\",\r\n\r\nlast,1")
                           .value();
  ASSERT_EQ(records.size(), 3U);
  EXPECT_THAT(records[0].fields, ElementsAre("a", "b"));
  EXPECT_THAT(records[1].fields, ElementsAre("x, \"y\"\r\nz", ""));
  EXPECT_EQ(records[1].line, 2);
  EXPECT_THAT(records[2].fields, ElementsAre("last", "1"));
  EXPECT_EQ(records[2].line, 5);
}

TEST(CsvTest, BrokenQuotesNameTheirPlace) {
  EXPECT_THAT(ParseCsv("a,b\nc,\"open\n\n").status().message(), HasSubstr("line 2, column 2"));
  EXPECT_THAT(ParseCsv("a,b\"\n").status().message(), HasSubstr("line 1, column 2"));
  EXPECT_THAT(ParseCsv("\"a\"b,c\n").status().message(), HasSubstr("after a closing quote"));
  EXPECT_THAT(ParseCsv(std::string("a\0b", 3)).status().message(), HasSubstr("NUL"));
}

TEST(CsvTest, QuotingRoundTrips) {
  for (const std::string field : {"plain", "", "a,b", "say \"x\"", "two\nlines", "cr\r\nlf"}) {
    const auto records = ParseCsv("first," + QuoteCsv(field) + "\n").value();
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records[0].fields[1], field);
  }
}

TEST(ManifestTest, EveryColumn) {
  const std::string hash(32, 'a');
  const Manifest manifest = Parse(
                                "label,split,slide_id,path,case_id,mpp,hash,x,y,w,h,note\n"
                                "tumor,train,s1,a.svs,c1,0.25," +
                                hash +
                                ",10,20,30,40,fine\n"
                                "normal,test,s2,/slides/b.svs,c2,,,,,,,\n")
                                .value();
  ASSERT_EQ(manifest.rows.size(), 2U);
  const SlideRow& first = manifest.rows[0];
  EXPECT_EQ(first.slide_id, "s1");
  EXPECT_EQ(first.path, "data/a.svs");
  EXPECT_EQ(first.case_id, "c1");
  EXPECT_EQ(first.mpp, 0.25);
  EXPECT_EQ(first.hash, hash);
  EXPECT_EQ(first.region, (SlideRegion{10, 20, 30, 40}));
  EXPECT_EQ(first.class_index, 1);
  EXPECT_EQ(first.line, 2);
  EXPECT_EQ(manifest.rows[1].path, "/slides/b.svs");
  EXPECT_FALSE(manifest.rows[1].region.has_value());
  EXPECT_THAT(manifest.class_names, ElementsAre("normal", "tumor"));
}

TEST(ManifestTest, IntegerLabelsAreIndices) {
  const Manifest manifest = Parse("slide_id,path,label\na,a,2\nb,b,0\n").value();
  EXPECT_THAT(manifest.class_names, ElementsAre("0", "1", "2"));
  EXPECT_EQ(manifest.rows[0].class_index, 2);
}

TEST(ManifestTest, GivenClassesTakeNamesAndIndices) {
  const ManifestOptions options{.class_names = {"tumor", "normal"}, .files_must_exist = false};
  const Manifest manifest = Parse("slide_id,path,label\na,a,normal\nb,b,0\n", options).value();
  EXPECT_EQ(manifest.rows[0].class_index, 1);
  EXPECT_EQ(manifest.rows[1].class_index, 0);
  const std::string unknown = ErrorOf("slide_id,path,label\na,a,normal\nb,b,benign\n", options);
  EXPECT_THAT(unknown, HasSubstr("line 3, column 3 (label): unknown label 'benign'"));
  EXPECT_THAT(unknown, HasSubstr("tumor, normal"));
  EXPECT_THAT(ErrorOf("slide_id,path,label\na,a,2\n", options), HasSubstr("unknown label '2'"));
  EXPECT_THAT(ErrorOf("slide_id,path,label\na,a,-1\n", options), HasSubstr("unknown label"));
}

TEST(ManifestTest, LabelsMayBeLeftOutForPrediction) {
  const ManifestOptions options{.labels_required = false, .files_must_exist = false};
  const Manifest manifest = Parse("slide_id,path\na,a\n", options).value();
  EXPECT_EQ(manifest.rows[0].class_index, -1);
  EXPECT_THAT(ErrorOf("slide_id,path\na,a\n"), HasSubstr("no column label"));
  EXPECT_THAT(ErrorOf("slide_id,path,label\na,a,\n"), HasSubstr("line 2, column 3 (label)"));
}

TEST(ManifestTest, BadHeadingsAndShapes) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("is empty"));
  EXPECT_THAT(ErrorOf("slide_id,path,label\n"), HasSubstr("no rows"));
  EXPECT_THAT(ErrorOf("path,label\na,b\n"), HasSubstr("no column slide_id"));
  EXPECT_THAT(ErrorOf("slide_id,path,label,label\na,b,c,d\n"), HasSubstr("line 1, column 4"));
  EXPECT_THAT(ErrorOf("slide_id,path,label,x,y\na,b,c,1,2\n"), HasSubstr("belong together"));
  EXPECT_THAT(ErrorOf("slide_id,path,label\na,b\n"), HasSubstr("line 2: has 2 fields"));
  EXPECT_THAT(ErrorOf("slide_id,path,label\n\"a,b,c\n"), HasSubstr("not closed"));
}

TEST(ManifestTest, MalformedNumbers) {
  const auto with = [](const std::string& column, const std::string& value) {
    return ErrorOf("slide_id,path,label," + column + "\na,b,c," + value + "\n");
  };
  for (const std::string value : {"fast", "0", "-1", "nan", "inf", "0.5x", "1e999"}) {
    EXPECT_THAT(with("mpp", value), HasSubstr("line 2, column 4 (mpp)")) << value;
  }
  EXPECT_THAT(with("x,y,w,h", "1,2,3,four"), HasSubstr("column 7 (h): 'four' is not an integer"));
  EXPECT_THAT(with("x,y,w,h", "1,2,0,4"), HasSubstr("(w): 0 is below 1"));
  EXPECT_THAT(with("x,y,w,h", "-1,2,3,4"), HasSubstr("(x): -1 is below 0"));
  EXPECT_THAT(with("x,y,w,h", "1,2,,4"), HasSubstr("(w)"));
  EXPECT_THAT(with("x,y,w,h", "1,2,99999999999999999999,4"), HasSubstr("(w)"));
  EXPECT_THAT(with("hash", "abc"), HasSubstr("(hash)"));
  EXPECT_THAT(with("split", "holdout"), HasSubstr("none of train, val, test"));
}

TEST(ManifestTest, MissingFileNamesLineAndPath) {
  const std::string error = ErrorOf("slide_id,path,label\na,none.svs,c\n", {});
  EXPECT_THAT(error, HasSubstr("line 2, column 2 (path): no such file: data/none.svs"));
}

TEST(ManifestTest, Duplicates) {
  EXPECT_THAT(ErrorOf("slide_id,path,label\na,p,c\nb,q,c\na,r,c\n"),
              HasSubstr("line 4, column slide_id: 'a' is also on line 2"));
  EXPECT_THAT(ErrorOf("slide_id,path,label\na,p,c\nb,./p,c\n"),
              HasSubstr("line 3, column path: 'data/p' is also on line 2"));
  EXPECT_THAT(ErrorOf("slide_id,path,label,x,y,w,h\na,p,c,0,0,5,5\nb,p,c,0,0,5,5\n"),
              HasSubstr("same region"));
}

TEST(ManifestTest, RegionsOfOneSlideMayShareItsId) {
  const std::string head = "slide_id,path,label,x,y,w,h\n";
  EXPECT_TRUE(Parse(head + "a,p,c,0,0,5,5\na,p,d,5,0,5,5\n").ok());
  EXPECT_THAT(ErrorOf(head + "a,p,c,0,0,5,5\na,q,d,5,0,5,5\n"), HasSubstr("'a' is also"));
}

TEST(ManifestTest, Leaks) {
  const std::string head = "slide_id,case_id,path,label,split\n";
  EXPECT_THAT(ErrorOf(head + "a,c1,p,x,train\nb,c1,q,x,test\n"),
              HasSubstr("line 3, column case_id: 'c1' is in split test, but in train on line 2"));
  EXPECT_THAT(ErrorOf(head + "a,c1,p,x,train\nb,c2,q,x,\n"), HasSubstr("line 3, column split"));
  EXPECT_THAT(ErrorOf("slide_id,path,label,split,x,y,w,h\na,p,c,train,0,0,5,5\n"
                      "b,p,c,test,5,0,5,5\n"),
              HasSubstr("column path: 'data/p' is in split test"));
}

TEST(ManifestTest, RowsOfASplit) {
  const std::string head = "slide_id,path,label,split\n";
  const Manifest manifest = Parse(head + "a,p,x,train\nb,q,x,test\nc,r,x,train\n").value();
  EXPECT_THAT(RowsOfSplit(manifest, "train").value(), ElementsAre(0, 2));
  const Status empty = RowsOfSplit(manifest, "val").status();
  EXPECT_EQ(empty.code(), ErrorCode::kInvalidInput);
  EXPECT_THAT(empty.message(), HasSubstr("there are rows in: test, train"));
  const Manifest whole = Parse("slide_id,path,label\na,p,x\nb,q,x\n").value();
  EXPECT_THAT(RowsOfSplit(whole, "test").value(), ElementsAre(0, 1));
}

TEST(ManifestTest, WriterRoundTripsAndKeepsWhatExists) {
  const TestFolder folder;
  SlideRow row;
  row.slide_id = "odd, \"id\"";
  row.path = folder / "deep/slide.svs";
  row.label = "tumor";
  row.mpp = 0.4991;
  row.region = SlideRegion{1, 2, 3, 4};
  const std::string path = folder / "m.csv";
  ASSERT_TRUE(WriteManifest(path, {row}, false).ok());
  EXPECT_THAT(ReadBytes(path), HasSubstr(",deep/slide.svs,"));
  const Manifest manifest = ReadManifest(path, kNoFiles).value();
  EXPECT_EQ(manifest.rows[0].slide_id, row.slide_id);
  EXPECT_EQ(manifest.rows[0].path, row.path);
  EXPECT_EQ(manifest.rows[0].mpp, row.mpp);
  EXPECT_EQ(manifest.rows[0].region, row.region);
  EXPECT_EQ(WriteManifest(path, {row}, false).code(), ErrorCode::kUsage);
  EXPECT_TRUE(WriteManifest(path, {row}, true).ok());
}

}  // namespace
}  // namespace wsi
