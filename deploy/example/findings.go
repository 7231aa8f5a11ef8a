package example

import "github.com/gpumeter/gpumeter/schemas"

// cents are nano-units of a dollar.
func cents(n int64) int64 { return n * 10_000_000 }

// findings are what a detector says of the night, revision by revision.
func findings() []schemas.Finding {
	stall := finding("slurm/alps/1001", "alps-1", "22:05", "ada", "llama-pretrain", "research", 1800, "g0", "g0", "g1", "g1", "g2", "g3")
	job := finding("slurm/jura/412", "jura-1", "22:15", "kurt", "defect-detector", "vision", 120, "g2")
	notebook := finding("k8s/jura/notebook-grace", "jura-1", "21:25", "grace", "notebook-grace", "vision", 120, "g0")
	notebook.Evidence[0].Value, notebook.Advice = "25769803776", "close the kernel, or save it and free the GPU"
	return []schemas.Finding{
		open(stall, 1, "22:05", "", 150),
		resolved(open(stall, 2, "22:25", "", 750), "22:25"),
		open(notebook, 1, "21:25", "", 10),
		open(notebook, 2, "21:50", "21:50", 60),
		open(notebook, 3, "27:50", "21:50", 740),
		open(job, 1, "22:15", "", 10),
		open(job, 2, "22:40", "22:40", 60),
		resolved(open(job, 3, "25:30", "22:40", 360), "25:30"),
	}
}

func finding(allocation, node, opened, user, name, team string, perHour int64, gpus ...string) schemas.Finding {
	from := at(opened).UnixMilli()
	return schemas.Finding{
		Finding: "idle/" + allocation + "/" + at(opened).Format("20060102T150405Z"), Kind: schemas.KindIdle, OpenedAt: from,
		Allocation: allocation, Node: node, GPUs: gpus, User: user, Name: name, Team: team,
		CostPerHour: cents(perHour), Currency: "USD",
		Evidence: []schemas.Label{{Key: "memory_used_bytes", Value: "429496730"}}, Advice: "cancel it if it is done",
	}
}

// open is a revision of f; alert is empty for a notice.
func open(f schemas.Finding, revision int64, updated, alert string, burnt int64) schemas.Finding {
	f.Revision, f.Status, f.Severity = revision, schemas.StatusOpen, schemas.SeverityNotice
	f.UpdatedAt, f.BurntCost = at(updated).UnixMilli(), cents(burnt)
	if alert != "" {
		f.Severity, f.ThresholdAt = schemas.SeverityAlert, at(alert).UnixMilli()
	}
	return f
}

func resolved(f schemas.Finding, when string) schemas.Finding {
	f.Status, f.ResolvedAt = schemas.StatusResolved, at(when).UnixMilli()
	return f
}
