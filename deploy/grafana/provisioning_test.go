package grafana

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is checked in is what the declarations say, and nothing else.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
		} else if string(got) != string(want) {
			t.Errorf("%s is not what the declarations say: go generate ./deploy/grafana", name)
		}
	}
	err = filepath.WalkDir("provisioning", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && files[filepath.ToSlash(path)] == nil {
			t.Errorf("%s is not declared", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// The dashboard as Grafana reads it.
type model struct {
	UID        string
	Templating struct {
		List []struct {
			Name, Type string
			Multi      bool
			IncludeAll bool
			Current    struct{ Value []string }
		}
	}
	Panels []struct {
		ID                       int
		Type, Title, Description string
		GridPos                  struct{ X, Y, W, H int }
		Targets                  []query
	}
}

func TestDashboardIsWhole(t *testing.T) {
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	var d model
	if err := json.Unmarshal(files["provisioning/dashboards/overview.json"], &d); err != nil {
		t.Fatal(err)
	}
	taken, shown, ids := map[[2]int]string{}, 0, map[int]bool{}
	for _, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] {
			t.Errorf("%s: id %d is none, or another's", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies on %q or beside the grid", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		shown++
		if len(p.Targets) != 1 || p.Targets[0].SQL != panels()[p.Title].SQL || *p.Targets[0].Source.Uid != "${datasource}" {
			t.Errorf("%s: its query is not the declared one: %+v", p.Title, p.Targets)
		}
		if (p.Type == "timeseries") != (p.Targets[0].Format == formatSeries) {
			t.Errorf("%s: a %s of format %d", p.Title, p.Type, p.Targets[0].Format)
		}
	}
	if shown != len(panels()) {
		t.Errorf("%d panels of %d; two have one title?", shown, len(panels()))
	}
	var names []string
	for _, v := range d.Templating.List {
		names = append(names, v.Name)
		all := v.Name == "team" || v.Name == "cluster"
		if v.Multi != all || v.IncludeAll != all || all != (strings.Join(v.Current.Value, "") == "$__all") {
			t.Errorf("variable %s: %+v", v.Name, v)
		}
	}
	if got := strings.Join(names, " "); got != "datasource currency cluster team" || d.UID == "" {
		t.Errorf("variables %q", got)
	}
}
