package engine

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gpumeter/gpumeter/schemas"
)

// Of different events of one key the greatest stays (rule 6): fields in the order
// of the input contract, texts by bytes, absent lowest. The declarations encode
// absent as the lowest value of a field, but for idle_watts.

func compareAllocation(a, b *schemas.Allocation) int {
	return cmp.Or(
		cmp.Compare(a.TS, b.TS),
		strings.Compare(a.Event, b.Event),
		strings.Compare(a.Allocation, b.Allocation),
		compareBool(a.HasGPUs, b.HasGPUs),
		slices.CompareFunc(a.GPUs, b.GPUs, compareGPURef),
		strings.Compare(a.User, b.User),
		strings.Compare(a.Name, b.Name),
		strings.Compare(a.Namespace, b.Namespace),
		strings.Compare(a.Image, b.Image),
		slices.Compare(a.Command, b.Command),
		compareBool(a.HasLabels, b.HasLabels),
		slices.CompareFunc(a.Labels, b.Labels, compareLabel),
		cmp.Compare(a.ReqGPUs, b.ReqGPUs),
		cmp.Compare(a.ReqWalltime, b.ReqWalltime),
		cmp.Compare(a.SubmittedAt, b.SubmittedAt),
		strings.Compare(a.State, b.State),
	)
}

func compareGPURef(a, b schemas.GPURef) int {
	return cmp.Or(
		strings.Compare(a.Node, b.Node),
		strings.Compare(a.GPU, b.GPU),
		strings.Compare(a.Slice, b.Slice),
		cmp.Compare(a.Share, b.Share),
	)
}

func compareLabel(a, b schemas.Label) int {
	return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Value, b.Value))
}

func compareResource(a, b *schemas.Resource) int {
	return cmp.Or(
		strings.Compare(a.Node, b.Node),
		strings.Compare(a.Resource, b.Resource),
		strings.Compare(a.Cluster, b.Cluster),
		strings.Compare(a.Provider, b.Provider),
		strings.Compare(a.Region, b.Region),
		strings.Compare(a.SKU, b.SKU),
		strings.Compare(a.Model, b.Model),
		slices.Compare(a.GPUs, b.GPUs),
		cmp.Compare(a.From, b.From),
		cmp.Compare(a.To, b.To),
		strings.Compare(a.PricingCategory, b.PricingCategory),
		compareBool(a.Scheduler, b.Scheduler),
		cmp.Compare(a.IdleWatts+1, b.IdleWatts+1),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
