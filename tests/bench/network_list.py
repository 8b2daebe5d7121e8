"""The networks that networks.py tries, SOURCE:NAME, with the options that their
constructors need. Others are: `size` and `batch` of the input, 64 and 2 unless given; `seed`,
another input where on the first a ReLU is within rounding of zero; `near_init`, weights near
the network's own where it explodes with those that are drawn by name."""

PLAIN_TORCHVISION = (
    "alexnet squeezenet1_1 densenet121 efficientnet_b0 efficientnet_v2_s convnext_tiny swin_t "
    "swin_v2_t regnet_y_400mf regnet_x_400mf shufflenet_v2_x0_5 mnasnet0_5 mobilenet_v3_small "
    "resnext50_32x4d wide_resnet50_2")
PLAIN_TIMM = (
    "resnest14d hrnet_w18_small dm_nfnet_f0 nf_resnet50 ghostnet_100 "
    "poolformer_s12 edgenext_xx_small xception41 legacy_xception convnextv2_atto mobilevit_xxs "
    "pvt_v2_b0 repvgg_a0 res2net50_26w_4s skresnet18 selecsls42b dpn68 ese_vovnet19b_dw "
    "cspresnet50 darknet53 tresnet_m mobileone_s0 fastvit_t8 focalnet_tiny_srf davit_tiny "
    "inception_next_tiny repghostnet_050 starnet_s1 mambaout_femto nextvit_small efficientvit_b0 "
    "tf_efficientnet_b0 resnetv2_50 regnetz_b16 mobilenetv4_conv_small "
    "rexnet_100 hardcorenas_a mixnet_s lcnet_050 tiny_vit_5m_224 tinynet_e "
    "gernet_s vgg11_bn repvit_m0_9 "
    "lambda_resnet26t ecaresnet26t resnet26t seresnet18 gcresnet33ts")
SIZED_TIMM = (
    "deit_tiny_patch16_224 cait_xxs24_224 mixer_s32_224 resmlp_12_224 gmlp_ti16_224 "
    "twins_svt_small coatnet_nano_rw_224 maxvit_rmlp_pico_rw_256 "
    "vit_tiny_patch16_224 volo_d1_224 swinv2_cr_tiny_224 hiera_tiny_224 "
    "beit_base_patch16_224 visformer_tiny xcit_nano_12_p16_224 eva02_tiny_patch14_224 "
    "vit_small_patch14_dinov2 vit_small_patch14_reg4_dinov2 samvit_base_patch16_224 "
    "coat_tiny coat_lite_tiny")

NETWORKS = {
    **{f"torchvision:{name}": {} for name in PLAIN_TORCHVISION.split()},
    "torchvision:googlenet": {"aux_logits": False, "init_weights": False},
    "torchvision:inception_v3": {"aux_logits": False, "init_weights": False, "size": 160},
    "torchvision:vit_b_32": {"image_size": 64},
    "torchvision:maxvit_t": {"input_size": [224, 224], "size": 224, "batch": 1},
    "segmentation:fcn_resnet50": {},
    "segmentation:deeplabv3_resnet50": {},
    "segmentation:lraspp_mobilenet_v3_large": {},
    **{f"timm:{name}": {} for name in PLAIN_TIMM.split()},
    **{f"timm:{name}": {"img_size": 64} for name in SIZED_TIMM.split()},
    "timm:eca_nfnet_l0": {"near_init": True},
    "timm:ghostnetv2_100": {"seed": 1},
    "timm:bat_resnext26ts": {"size": 256},
    "timm:crossvit_tiny_240": {"size": 240, "batch": 1},
    "timm:efficientvit_m0": {"size": 224},
    "timm:efficientformer_l1": {"size": 224, "batch": 1},
    "timm:haloregnetz_b": {"size": 256, "batch": 1},
    "timm:inception_resnet_v2": {"size": 128},
    "timm:inception_v4": {"size": 128},
    "timm:levit_128s": {"size": 224},
    "timm:shvit_s1": {"size": 224},
}
