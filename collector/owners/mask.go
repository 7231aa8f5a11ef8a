package owners

import (
	"strings"
	"unicode"
)

// masked stands where a secret was.
const masked = "***"

// Bounds of a command. Arguments beyond are left out.
const (
	maxArguments = 64
	maxCommand   = 4096 // bytes of all arguments
	maxRead      = 2048 // bytes of one that are looked at
)

// Mask gives the arguments of a command without the secrets that are passed in
// them: values of options, variables and fields whose name says that they are
// secret (--api-key X, TOKEN=X, "password": "X", Authorization: Bearer X),
// passwords in URLs, and what has the form of a well-known credential. Names are
// judged by their words, so that --tokenizer and --max-tokens keep their values;
// a name that only hints (--key, --auth) hides a value that looks random. Shell
// strings (bash -c "...") are read word by word. The result has at most 64
// arguments of at most 512 bytes, 4096 in all. It cannot know a secret that
// neither its name nor its form gives away.
func Mask(args []string) []string {
	out := make([]string, 0, min(len(args), maxArguments))
	m := masker{}
	size := 0
	for _, arg := range args {
		if len(out) == maxArguments {
			break
		}
		arg = bounded(m.argument(strings.ToValidUTF8(arg[:min(len(arg), maxRead)], "?")))
		if size += len(arg); size > maxCommand {
			break
		}
		out = append(out, arg)
	}
	return out
}

// maskText masks what stands alone.
func maskText(text string) string { return (&masker{}).argument(text) }

// A suspicion is what a name says of the value behind it.
type suspicion uint8

const (
	harmless suspicion = iota
	hint               // secret if it looks random
	secret
	userinfo // NAME:PASSWORD
)

// A masker goes through arguments; an option waits for its value over their
// bounds.
type masker struct {
	next suspicion // of the word that comes
}

// argument masks one argument: a word, or a text of words.
func (m *masker) argument(arg string) string {
	if strings.Contains(arg, "-----BEGIN ") {
		m.next = harmless
		return masked
	}
	if !strings.ContainsFunc(arg, unicode.IsSpace) {
		return m.word(arg)
	}
	if m.next == secret { // a value with spaces
		m.next = harmless
		return masked
	}
	var out strings.Builder
	for arg != "" {
		at := strings.IndexFunc(arg, func(r rune) bool { return !unicode.IsSpace(r) })
		if at < 0 {
			at = len(arg)
		}
		out.WriteString(arg[:at])
		arg = arg[at:]
		n := wordEnd(arg)
		if n > 0 {
			out.WriteString(m.word(arg[:n]))
		}
		arg = arg[n:]
	}
	return out.String()
}

// wordEnd is where the word at the start of text ends; quotes hold it together.
func wordEnd(text string) int {
	var quote rune
	for i, r := range text {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case (r == '\'' || r == '"') && strings.ContainsRune(text[i+1:], r):
			quote = r
		case unicode.IsSpace(r):
			return i
		}
	}
	return len(text)
}

// word masks one word and notes what it says of the next.
func (m *masker) word(word string) string {
	expected := m.next
	m.next = harmless
	if expected != harmless && !isOption(word) {
		if isScheme(word) { // Authorization: Bearer X
			m.next = secret
			return word
		}
		if masked, ok := expected.hide(word); ok {
			return masked
		}
	}
	name, sign, value := cutName(word)
	what := judge(name)
	if what != secret && strings.ContainsFunc(word, unicode.IsSpace) { // a quoted text
		begin := 1 + strings.IndexAny(word, `'"`)
		return word[:begin] + (&masker{}).argument(word[begin:])
	}
	switch {
	case what == harmless && value != "":
		return name + sign + m.value(value)
	case what == harmless:
		if isScheme(word) {
			m.next = secret
		}
		return maskShapes(word)
	case value != "":
		if isScheme(value) {
			m.next = secret
			return word
		}
		if hidden, ok := what.hide(value); ok {
			return name + sign + hidden
		}
		return name + sign + maskShapes(value)
	default:
		if sign != "" || strings.HasPrefix(name, "-") {
			m.next = what
		}
		return word
	}
}

// value masks what stands behind a harmless name: a URL, or name and value again
// (-e TOKEN=X comes as two words, --env=TOKEN=X and {"a":1,"token":"X"} as one).
func (m *masker) value(value string) string {
	if !strings.HasPrefix(value, "//") {
		return m.word(value)
	}
	address, query, has := strings.Cut(value, "?")
	if !has {
		return maskShapes(value)
	}
	return maskShapes(address) + "?" + m.word(query)
}

// cutName cuts NAME=VALUE and NAME:VALUE, with the quotes and brackets around.
func cutName(word string) (name, sign, value string) {
	at := strings.IndexAny(word, "=:,&?;{")
	if at < 0 {
		return word, "", ""
	}
	end := at + 1
	for end < len(word) && strings.IndexByte(`=:,&?;{["' `, word[end]) >= 0 {
		end++
	}
	return word[:at], word[at:end], word[end:]
}

// hide masks a value where the suspicion is strong enough for it.
func (s suspicion) hide(value string) (string, bool) {
	switch s {
	case secret:
		return masked, true
	case hint:
		return masked, looksRandom(value)
	case userinfo:
		user, password, ok := strings.Cut(value, ":")
		return user + ":" + masked, ok && password != ""
	default:
		return value, false
	}
}

// isOption tells --NAME and -x, which are no values.
func isOption(word string) bool {
	return strings.HasPrefix(word, "--") || len(word) == 2 && word[0] == '-'
}

// isScheme tells the words before a credential in an Authorization header.
func isScheme(word string) bool {
	switch strings.ToLower(strings.Trim(word, `"'`)) {
	case "bearer", "basic":
		return true
	}
	return false
}
