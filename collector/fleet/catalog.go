package fleet

// An offer is an instance type with eight GPUs and its public list price.
type offer struct {
	provider, region, sku string
	perHour               int64  // list price on demand of a whole instance-hour, nano-USD
	date, source          string // when and where the price was listed
	gpu                   model
}

// A model is a kind of GPU.
type model struct {
	name      string
	memory    uint64  // bytes
	watts     float64 // at most
	idle      float64 // watts when nothing runs
	threshold uint32  // mW: the operator's idle_watts, above all that idle GPUs draw
	counters  bool    // it reports SM, tensor and DRAM activity
	mig       bool    // it can be cut into MIG instances
}

const (
	mib   = 1 << 20
	gib   = 1 << 30
	milli = 1000
)

func h100() model {
	return model{"NVIDIA H100 80GB HBM3", 81559 * mib, 700, 70, 150 * milli, true, true}
}

func h200() model { return model{"NVIDIA H200", 143771 * mib, 700, 75, 150 * milli, true, true} }

func a100(memory uint64) model {
	name := "NVIDIA A100-SXM4-80GB"
	if memory < 64*gib {
		name = "NVIDIA A100-SXM4-40GB"
	}
	return model{name, memory, 400, 52, 110 * milli, true, true}
}

func l40s() model { return model{"NVIDIA L40S", 46068 * mib, 350, 35, 90 * milli, true, false} }
func l4() model   { return model{"NVIDIA L4", 23034 * mib, 72, 13, 26 * milli, false, false} }
func a10g() model { return model{"NVIDIA A10G", 23028 * mib, 300, 20, 70 * milli, false, false} }

// catalog lists public on-demand prices in USD. The sources are the price tables
// that the Karpenter providers generate from the clouds' own price lists
// (aws/karpenter-provider-aws, Azure/karpenter-provider-azure,
// cloudpilot-ai/karpenter-provider-gcp). Prices with more than nine decimals are
// rounded half up.
func catalog() []offer {
	const (
		aws   = "aws/karpenter-provider-aws pkg/providers/pricing"
		azure = "Azure/karpenter-provider-azure pkg/providers/pricing"
		gcp   = "cloudpilot-ai/karpenter-provider-gcp pkg/providers/pricing"
	)
	return []offer{
		{"aws", "us-east-1", "p5.48xlarge", 55_040_000_000, "2026-07-20", aws, h100()},
		{"gcp", "us-central1", "a2-ultragpu-8g", 40_550_383_122, "2026-08-06", gcp, a100(81920 * mib)},
		{"aws", "us-east-1", "g6e.48xlarge", 30_131_180_000, "2026-07-20", aws, l40s()},
		{"azure", "eastus", "Standard_ND96isr_H100_v5", 98_320_000_000, "2026-06-18", azure, h100()},
		{"aws", "us-east-1", "p5en.48xlarge", 63_296_000_000, "2026-07-20", aws, h200()},
		{"aws", "us-east-1", "p4d.24xlarge", 21_957_642_000, "2026-07-20", aws, a100(40960 * mib)},
		{"gcp", "us-central1", "g2-standard-96", 8_003_330_296, "2026-08-06", gcp, l4()},
		{"gcp", "us-central1", "a3-highgpu-8g", 88_489_999_903, "2026-08-06", gcp, h100()},
		{"azure", "eastus", "Standard_ND96amsr_A100_v4", 32_770_000_000, "2026-06-18", azure, a100(81920 * mib)},
		{"aws", "us-east-1", "g5.48xlarge", 16_288_000_000, "2026-07-20", aws, a10g()},
		{"aws", "us-east-1", "g6.48xlarge", 13_350_400_000, "2026-07-20", aws, l4()},
		{"azure", "eastus", "Standard_ND96asr_v4", 27_197_000_000, "2026-06-18", azure, a100(40960 * mib)},
	}
}
