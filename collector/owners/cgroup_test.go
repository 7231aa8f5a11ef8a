package owners

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// A cgroupCase is one block of testdata/cgroups.txt.
type cgroupCase struct{ title, text, want string }

func cgroupCases(t testing.TB) (cases []cgroupCase) {
	t.Helper()
	text, err := os.ReadFile("testdata/cgroups.txt")
	if err != nil {
		t.Fatal(err)
	}
	for block := range strings.SplitSeq(string(text), "\n\n") {
		var c cgroupCase
		for line := range strings.Lines(block + "\n") {
			switch line = strings.TrimSuffix(line, "\n"); {
			case strings.HasPrefix(line, "# "):
				c.title = line[2:]
			case strings.HasPrefix(line, "=> "):
				c.want = line[3:]
			case line != "":
				c.text += line + "\n"
			}
		}
		if c.want != "" {
			cases = append(cases, c)
		}
	}
	return cases
}

// show writes an owner as the cases do.
func show(o Owner) string {
	var b strings.Builder
	b.WriteString(string(o.Kind))
	add := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, " %s=%s", name, value)
		}
	}
	add("job", o.Job)
	add("step", o.Step)
	add("pod", o.Pod)
	add("container", o.Container)
	add("runtime", o.Runtime)
	add("unit", o.Unit)
	if o.UID != noUID {
		add("uid", fmt.Sprint(o.UID))
	}
	return b.String()
}

func TestParseCgroup(t *testing.T) {
	cases := cgroupCases(t)
	if len(cases) < 60 {
		t.Fatalf("%d cases: the file was not read whole", len(cases))
	}
	for _, c := range cases {
		if got := show(ParseCgroup(c.text)); got != c.want {
			t.Errorf("%s\n%s got  %s\n want %s", c.title, c.text, got, c.want)
		}
	}
}

// The order in which the kernel lists hierarchies says nothing.
func TestParseCgroupInAnyOrder(t *testing.T) {
	for _, c := range cgroupCases(t) {
		lines := strings.SplitAfter(strings.TrimSuffix(c.text, "\n"), "\n")
		var backwards string
		for _, line := range lines {
			backwards = strings.TrimSuffix(line, "\n") + "\n" + backwards
		}
		if got := show(ParseCgroup(backwards)); got != c.want {
			t.Errorf("%s, backwards: %s, want %s", c.title, got, c.want)
		}
	}
}

func FuzzParseCgroup(f *testing.F) {
	for _, c := range cgroupCases(f) {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o := ParseCgroup(text)
		who := map[Kind]string{Slurm: o.Job, Pod: o.Pod, Container: o.Container, Unit: o.Unit, User: "user"}
		if who[o.Kind] == "" {
			t.Errorf("%+v is nobody", o)
		}
		if strings.ContainsAny(o.who(7), "/\n") || !utf8.ValidString(o.who(7)) {
			t.Errorf("%q would not be one part of an id", o.who(7))
		}
		if o.UID < noUID {
			t.Errorf("uid %d", o.UID)
		}
		if again := ParseCgroup(text + "\n" + text); again != o {
			t.Errorf("twice the same text is %+v, once %+v", again, o)
		}
	})
}
