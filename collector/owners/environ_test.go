package owners

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gpumeter/gpumeter/schemas"
)

func TestLabelsComeFromTheListOnly(t *testing.T) {
	rules := labelRules([]string{"GPUMETER_PROJECT=project", "WANDB_PROJECT=project", "TEAM=team", "JOB=slurm_job_id", "URL=url", "EMPTY=empty"})
	text := strings.Join([]string{
		"PATH=/bin", "WANDB_PROJECT=w", "AWS_SECRET_ACCESS_KEY=s3cret", "TEAM=a\tb\n", "TEAM=later", "JOB=forged",
		"URL=https://ann:pw@h/", "EMPTY=", "GPUMETER_PROJECT=g", "no equals sign", "",
	}, "\x00")
	kept := parseEnviron(text, wanted(rules))
	if kept["AWS_SECRET_ACCESS_KEY"] != "" || kept["PATH"] != "" {
		t.Errorf("kept what nobody asked for: %v", kept)
	}
	got := sortedLabels(kept.labels(rules, []schemas.Label{{Key: "slurm_job_id", Value: "7"}}))
	want := "[{project g} {slurm_job_id 7} {team a b} {url https://ann:***@h/}]"
	if fmt.Sprint(got) != want {
		t.Errorf("labels %v, want %s", got, want)
	}
}

func TestGranted(t *testing.T) {
	for value, want := range map[string]bool{"": false, "all": false, "none": false, "void": false, "GPU-5c8e": true, "0,1": true} {
		if got := (environ{grantVariable: value}).granted(); got != want {
			t.Errorf("%s=%s: %v", grantVariable, value, got)
		}
	}
}

func FuzzParseEnviron(f *testing.F) {
	names := wanted(labelRules(DefaultConfig().Labels))
	f.Add("WANDB_PROJECT=a\x00GPUMETER_TEAM=b\x00HOME=/root\x00")
	f.Add("GPUMETER_TEAM=" + strings.Repeat("ü", 600) + "\x00=\x00==")
	f.Fuzz(func(t *testing.T, text string) {
		for name, value := range parseEnviron(text, names) {
			if !names[name] {
				t.Errorf("kept %q", name)
			}
			if len(value) > maxText || !utf8.ValidString(value) || strings.ContainsAny(value, "\x00\n\r\t") {
				t.Errorf("value %q", value)
			}
		}
	})
}
