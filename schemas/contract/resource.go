package contract

import (
	"slices"

	"github.com/gpumeter/gpumeter/schemas"
)

// defaultCategory is how a resource is paid for when its record does not say.
const defaultCategory = "on_demand"

// Resource reads one line of resources.ndjson into r. The list of r is new: r
// may be kept.
func (p *Parser) Resource(line []byte, r *schemas.Resource) error {
	*r = schemas.Resource{From: missing, To: missing, IdleWatts: schemas.Absent32}
	err := p.object(line, func(key []byte) *Error { return p.resourceField(key, r) })
	if err == nil {
		err = checkResource(r)
	}
	return asError(err)
}

func (p *Parser) resourceField(key []byte, r *schemas.Resource) *Error {
	switch string(key) {
	case "node":
		return p.text("node", &r.Node)
	case "resource":
		return p.text("resource", &r.Resource)
	case "cluster":
		return p.text("cluster", &r.Cluster)
	case "provider":
		return p.text("provider", &r.Provider)
	case "region":
		return p.text("region", &r.Region)
	case "sku":
		return p.text("sku", &r.SKU)
	case "gpu_model":
		return p.text("gpu_model", &r.Model)
	case "gpus":
		return p.gpuIDs(&r.GPUs)
	case "from":
		return p.time("from", &r.From)
	case "to":
		return p.time("to", &r.To)
	case "pricing_category":
		return p.text("pricing_category", &r.PricingCategory)
	case "scheduler":
		return p.flag("scheduler", &r.Scheduler)
	case "idle_watts":
		return p.amount32("idle_watts", 3, &r.IdleWatts)
	default:
		return p.ignore("", key)
	}
}

func (p *Parser) gpuIDs(to *[]string) *Error {
	*to = nil
	absent, err := p.value("gpus", kindList, schemas.ReasonBadField)
	if absent || err != nil {
		return err
	}
	return p.scan.list(func() *Error {
		var id string
		if err := p.text("gpus", &id); err != nil {
			return err
		}
		*to = append(*to, id)
		return nil
	})
}

func checkResource(r *schemas.Resource) *Error {
	if err := required("from", r.From, "node", r.Node, "resource", r.Resource, "provider", r.Provider); err != nil {
		return err
	}
	if r.PricingCategory == "" {
		r.PricingCategory = defaultCategory
	}
	if err := checkCategory(r.PricingCategory); err != nil {
		return err
	}
	if err := after1970("to", &r.To); err != nil {
		return err
	}
	if len(r.GPUs) == 0 {
		return badField("gpus", "is missing or empty: name every GPU of the resource")
	}
	slices.Sort(r.GPUs)
	for i, id := range r.GPUs {
		switch {
		case id == "":
			return badField("gpus", "holds an empty id")
		case i > 0 && r.GPUs[i-1] == id:
			return badField("gpus", "names %q twice", show([]byte(id)))
		}
	}
	return nil
}

func checkCategory(category string) *Error {
	switch category {
	case "on_demand", "spot", "committed", "owned":
		return nil
	}
	return badField("pricing_category", "%q is not on_demand, spot, committed or owned", show([]byte(category)))
}
