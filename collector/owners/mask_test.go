package owners

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestMask(t *testing.T) {
	random := "q8Zr2LmN0xV7bT4k" // looks like a key and like no known one
	for _, c := range []struct {
		args []string
		want []string
	}{
		// Nothing to hide: what training commands are full of.
		{
			[]string{"python", "-u", "train.py", "--lr=3e-4", "--tokenizer", "meta-llama/Llama-3", "--max-tokens=4096", "--eos_token", "</s>", "--pad-token-id=2"},
			[]string{"python", "-u", "train.py", "--lr=3e-4", "--tokenizer", "meta-llama/Llama-3", "--max-tokens=4096", "--eos_token", "</s>", "--pad-token-id=2"},
		},
		{[]string{"--sort-key=name", "--keys", "a,b", "--author", "ann", "--signature=v2", "--auth-mode", "none"}, nil},
		{[]string{"--data=s3://bucket/train?versionId=3", "--rdzv_endpoint=n1:29500", "-m", "torch.distributed.run", "trainer.devices=[0,1]"}, nil},
		{[]string{"bash", "-c", "cd /data && python train.py --epochs 3"}, nil},
		{[]string{}, nil},
		{[]string{""}, nil},

		// Options.
		{[]string{"--token=abc"}, []string{"--token=***"}},
		{[]string{"--password", "x", "--lr", "1"}, []string{"--password", "***", "--lr", "1"}},
		{[]string{"--hf-token", "two words"}, []string{"--hf-token", "***"}},
		{[]string{"--use-auth-token", "--lr", "1", "--no-password", "-v", "1"}, nil},
		{[]string{"-password=x", "--hfToken=x", "--api.key=x", "--DB_PASSWORD=x", "--client_secret:x"}, []string{"-password=***", "--hfToken=***", "--api.key=***", "--DB_PASSWORD=***", "--client_secret:***"}},
		{[]string{"--key=" + random, "--auth", random, "--session=" + random}, []string{"--key=***", "--auth", "***", "--session=***"}},
		{[]string{"--password=a=b:c,d"}, []string{"--password=***"}},
		{[]string{"curl", "-u", "ann:pw", "--user=ann:pw"}, []string{"curl", "-u", "ann:***", "--user=ann:***"}},

		// Variables.
		{[]string{"env", "WANDB_API_KEY=x", "AWS_SECRET_ACCESS_KEY=x", "docker", "-e", "TOKEN=x", "--env=PGPASSWORD=x", "--env=MYSQL_PWD=x"}, []string{"env", "WANDB_API_KEY=***", "AWS_SECRET_ACCESS_KEY=***", "docker", "-e", "TOKEN=***", "--env=PGPASSWORD=***", "--env=MYSQL_PWD=***"}},

		// Texts.
		{[]string{"sh", "-c", "export TOKEN=x; run --password y --lr 1"}, []string{"sh", "-c", "export TOKEN=*** run --password *** --lr 1"}},
		{[]string{"sh", "-c", `run --token 'a b' --name "c d"`}, []string{"sh", "-c", `run --token *** --name "c d"`}},
		{[]string{"sh", "-c", `run --token='a b' x`}, []string{"sh", "-c", `run --token='*** x`}},
		{[]string{"-H", "Authorization: Bearer abc"}, []string{"-H", "Authorization: Bearer ***"}},
		{[]string{"--header=Authorization: Basic abc"}, []string{"--header=Authorization: Basic ***"}},
		{[]string{`{"lr": 1, "api_key": "abc", "n": 2}`}, []string{`{"lr": 1, "api_key": *** "n": 2}`}},
		{[]string{`{"lr":1,"api_key":"abc"}`}, []string{`{"lr":1,"api_key":"***`}},
		{[]string{"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"}, []string{"***"}},

		// Addresses.
		{[]string{"postgres://ann:pw@db/x", "--url=https://ann:pw@h/?a=1&token=x"}, []string{"postgres://ann:***@db/x", "--url=https://ann:***@h/?a=1&token=***"}},
		{[]string{"https://" + random + "@github.com/a/b"}, []string{"https://***@github.com/a/b"}},
		{[]string{"https://ann@h/a@b", "ann@h:/x"}, nil},

		// Known forms.
		{[]string{"AKIA" + strings.Repeat("A", 16), "x-hf_" + strings.Repeat("b", 34), "sk-" + strings.Repeat("c", 40)}, []string{"***", "x-***", "***"}},
		{[]string{"task-sk-1", "disk-" + strings.Repeat("c", 40), "hf_home"}, nil},
	} {
		if c.want == nil {
			c.want = c.args
		}
		if got := Mask(c.args); !slices.Equal(got, c.want) {
			t.Errorf("Mask(%q)\n got %q\nwant %q", c.args, got, c.want)
		}
	}
}

func TestMaskIsBounded(t *testing.T) {
	many := slices.Repeat([]string{"--x=1"}, 1000)
	if got := Mask(many); len(got) != maxArguments {
		t.Errorf("%d arguments", len(got))
	}
	long := slices.Repeat([]string{strings.Repeat("ü", 5000)}, 100)
	size := 0
	for _, arg := range Mask(long) {
		size += len(arg)
		if len(arg) > maxText || !utf8.ValidString(arg) {
			t.Errorf("an argument of %d bytes", len(arg))
		}
	}
	if size > maxCommand || size < maxCommand/2 {
		t.Errorf("%d bytes", size)
	}
}

// However a secret is passed that its name gives away, it does not come out, and
// the arguments around it do.
func TestMaskHidesSecrets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := "S3" + rapid.StringMatching(`[A-Za-z0-9+/_.~@!%-]{3,40}`).Draw(t, "secret")
		name := rapid.SampledFrom([]string{"token", "hf_token", "PASSWORD", "db-password", "apiKey", "AWS_SECRET_ACCESS_KEY", "client.secret", "X-Auth-Token", "passphrase"}).Draw(t, "name")
		form := rapid.SampledFrom([]string{"--%s=%s", "--%s|%s", "%s=%s", "-e|%s=%s", "sh|-c|A=1 run --%s %s x", "--%s='%s'", `{"a":1,"%s":"%s"}`, `{"%s": "%s"}`, "https://h/p?a=1&%s=%s", "%s: Bearer %s"}).Draw(t, "form")
		args := strings.Split("python|train.py|"+fmt.Sprintf(form, name, secret)+"|--lr=1|last.py", "|")
		got := Mask(args)
		if text := strings.Join(got, " "); strings.Contains(text, secret) {
			t.Fatalf("%q shows the secret", text)
		}
		if got[0] != "python" || got[len(got)-1] != "last.py" || len(got) != len(args) {
			t.Fatalf("%q became %q", args, got)
		}
	})
}

func FuzzMask(f *testing.F) {
	f.Add("python|train.py|--token=abc")
	f.Add(`sh|-c|export A="b c"; run 'x`)
	f.Add(`{"api_key": "abc", 'x':[1,2]}|https://a:b@c?d=e`)
	f.Fuzz(func(t *testing.T, text string) {
		args := strings.Split(text, "|")
		once := Mask(args)
		if len(once) > len(args) {
			t.Errorf("%d arguments became %d", len(args), len(once))
		}
		for _, arg := range once {
			if !utf8.ValidString(arg) {
				t.Errorf("%q is not UTF-8", arg)
			}
		}
	})
}
