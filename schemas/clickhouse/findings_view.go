package clickhouse

import (
	"fmt"

	"github.com/gpumeter/gpumeter/schemas"
)

// findingsHistoryView has every revision of every finding.
func findingsHistoryView() View {
	v := logView(schemas.StreamFindings)
	v.Name, v.Doc = "findings_history", "Every revision of what was worth a person's attention, with money."
	return v
}

// findingsView has the newest revision of every finding.
func findingsView() View {
	v := findingsHistoryView()
	v.Name, v.Doc = "findings", "What is or was worth a person's attention, as now known."
	v.Query = fmt.Sprintf("SELECT *\nFROM %s.findings_history\nORDER BY finding, revision DESC\nLIMIT 1 BY finding", Database)
	return v
}
