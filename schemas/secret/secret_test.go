package secret_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/schemas/secret"
)

// open makes a folder below which others can go as far as its own mode lets them.
// (The folders above those of testing are open on most machines; where they are
// not, nothing is exposed and the test says so.)
func folder(t *testing.T, mode os.FileMode) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != filepath.Dir(d); d = filepath.Dir(d) {
		if info, err := os.Stat(d); err != nil || info.Mode()&0o001 == 0 {
			t.Skipf("others cannot enter %s, so that nothing below it is exposed", d)
		}
	}
	if err := os.Chmod(dir, mode); err != nil { //nolint:gosec // what is tested
		t.Fatal(err)
	}
	return dir
}

func put(t *testing.T, dir, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFileThatOthersReachIsRefused(t *testing.T) {
	for _, c := range []struct {
		name         string
		folder, file os.FileMode
		refused      bool
	}{
		{"the owner's", 0o755, 0o600, false},
		{"read by its group", 0o755, 0o640, false},
		{"read by others", 0o755, 0o644, true},
		{"read by others in a closed folder", 0o700, 0o644, false},
		{"changed by others", 0o755, 0o602, true},
		{"changed by its group", 0o700, 0o660, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := put(t, folder(t, c.folder), "s3cret\n", c.file)
			got, err := secret.File(path)
			if errors.Is(err, secret.ErrExposed) != c.refused || (err == nil) != (got == "s3cret") {
				t.Errorf("%q, %v", got, err)
			}
			if err != nil && (strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "chmod 600")) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "is empty",
		" \n":                                  "is empty",
		strings.Repeat("x", secret.MaxBytes):   "",
		strings.Repeat("x", secret.MaxBytes+1): "longer than",
		"two words\r\n":                        "",
	} {
		got, err := secret.File(put(t, t.TempDir(), text, 0o600))
		if want == "" && (err != nil || got != strings.TrimRight(text, "\r\n")) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d bytes: %v, want %q", len(text), err, want)
		}
	}
}

func TestEnv(t *testing.T) {
	t.Setenv("GPUMETER_TEST_SECRET", "s3cret")
	if got, err := secret.Env("GPUMETER_TEST_SECRET"); got != "s3cret" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := secret.Env("GPUMETER_TEST_NO_SECRET"); err == nil || !strings.Contains(err.Error(), "GPUMETER_TEST_NO_SECRET") {
		t.Errorf("%v", err)
	}
}
