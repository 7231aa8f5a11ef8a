package owners

import (
	"strings"
	"unicode"
)

// judge says what the name of an option, variable or field tells of its value.
func judge(name string) suspicion {
	if name == "-u" || name == "--user" || name == "--proxy-user" {
		return userinfo
	}
	words := nameWords(name)
	strongest := harmless
	for i, w := range words {
		if endsSecret(w) {
			return secret
		}
		switch w {
		case "token":
			if !isModelToken(words, i) {
				strongest = secret
			}
		case "secrets", "passwords", "pwd", "pass", "credential", "credentials", "authorization", "cookie", "bearer", "dsn", "pat":
			strongest = secret
		case "key":
			strongest = max(strongest, judgeKey(words[:i]))
		case "auth", "keys", "signature", "sig", "session", "license", "jwt", "webhook", "sas":
			strongest = max(strongest, hint)
		}
	}
	return strongest
}

// endsSecret tells words that are secret also with others before them: pgpassword.
func endsSecret(word string) bool {
	for _, end := range []string{
		"password", "passwd", "passphrase", "secret",
		"apikey", "accesskey", "secretkey", "privatekey", "authtoken", "accesstoken", "apitoken", "bearertoken",
	} {
		if strings.HasSuffix(word, end) {
			return true
		}
	}
	return false
}

// isModelToken tells the tokens of a tokenizer (eos_token, token-id) from those
// that open doors.
func isModelToken(words []string, at int) bool {
	if at > 0 {
		switch words[at-1] {
		case "bos", "eos", "pad", "unk", "mask", "sep", "cls", "stop", "special", "image", "start", "end", "per", "max", "num":
			return true
		}
	}
	if at+1 < len(words) {
		switch words[at+1] {
		case "id", "ids", "count", "limit", "budget", "length", "type":
			return true
		}
	}
	return false
}

// judgeKey: an API key is a secret, a sort key is not.
func judgeKey(before []string) suspicion {
	if len(before) == 0 {
		return hint
	}
	switch before[len(before)-1] {
	case "api", "access", "secret", "private", "auth", "encryption", "account", "wandb", "openai", "anthropic", "signing", "ssh", "shared", "master":
		return secret
	}
	return hint
}

// nameWords splits a name into lower-case words: --hfToken and HF_TOKEN are hf,
// token; tokenizer is one word.
func nameWords(name string) []string {
	var words []string
	var word strings.Builder
	flush := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	lower := false // the character before was lower case
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			flush()
			lower = false
			continue
		}
		if unicode.IsUpper(r) && lower {
			flush()
		}
		lower = !unicode.IsUpper(r)
		word.WriteRune(unicode.ToLower(r))
	}
	flush()
	return words
}

// looksRandom tells a key from a word: 16 characters or more of an alphabet of
// keys, digits and letters among them.
func looksRandom(value string) bool {
	value = strings.Trim(value, `"'`)
	if len(value) < 16 {
		return false
	}
	digits, letters := 0, 0
	for _, r := range value {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
			letters++
		case !strings.ContainsRune("+/=_-.~", r):
			return false
		}
	}
	return digits >= 2 && letters >= 2
}

// maskShapes masks passwords in URLs and credentials that are known by their form.
func maskShapes(word string) string {
	return maskKnown(maskURL(word))
}

// maskURL masks PASSWORD of SCHEME://USER:PASSWORD@HOST, and USER where no
// password follows it but it looks random.
func maskURL(word string) string {
	at := strings.Index(word, "//")
	if at < 0 {
		return word
	}
	begin := at + len("//")
	authority := word[begin:]
	if end := strings.IndexAny(authority, "/?#"); end >= 0 {
		authority = authority[:end]
	}
	host := strings.LastIndexByte(authority, '@')
	if host < 0 {
		return word
	}
	user, password, has := strings.Cut(authority[:host], ":")
	switch {
	case has && password != "":
		user += ":" + masked
	case looksRandom(user):
		user = masked
	}
	return word[:begin] + user + word[begin+host:]
}

// A shape is a credential that is known by how it begins.
type shape struct {
	prefix string
	least  int // characters behind the prefix
}

func shapes() []shape {
	return []shape{
		{"AKIA", 16},
		{"ASIA", 16},
		{"ghp_", 20},
		{"gho_", 20},
		{"ghu_", 20},
		{"ghs_", 20},
		{"github_pat_", 20},
		{"glpat-", 16},
		{"hf_", 20},
		{"sk-", 20},
		{"xoxa-", 10},
		{"xoxb-", 10},
		{"xoxp-", 10},
		{"xapp-", 10},
		{"eyJ", 30},
		{"AIza", 30},
		{"ya29.", 20},
		{"nvapi-", 20},
		{"dop_v1_", 20},
		{"npm_", 20},
	}
}

// maskKnown masks every credential of a known form in word.
func maskKnown(word string) string {
	for _, s := range shapes() {
		for from := 0; ; {
			at := strings.Index(word[from:], s.prefix)
			if at < 0 {
				break
			}
			begin := from + at
			end := begin + len(s.prefix)
			for end < len(word) && isKeyByte(word[end]) {
				end++
			}
			inside := begin > 0 && isKeyByte(word[begin-1]) && word[begin-1] != '-'
			if inside || end-begin-len(s.prefix) < s.least {
				from = begin + len(s.prefix)
				continue
			}
			word = word[:begin] + masked + word[end:]
			from = begin + len(masked)
		}
	}
	return word
}

func isKeyByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-' || c == '.'
}
