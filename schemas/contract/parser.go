package contract

import (
	"math"
	"time"
	"unicode/utf8"

	"github.com/gpumeter/gpumeter/schemas"
)

const (
	// maxTexts bounds the texts that a Parser remembers: ids repeat on every
	// line, but a hostile input has a new one on each.
	maxTexts = 1 << 16
	// maxTextBytes is the longest text that is remembered.
	maxTextBytes = 256
	// one is 1 in millionths.
	one = 1_000_000
	// missing marks a time that no line can give.
	missing = math.MinInt64
)

// A Parser reads lines of NDJSON. It keeps its buffers and the texts that it
// has seen, so that an id that repeats costs no memory. The zero value is ready.
// Not for concurrent use.
type Parser struct {
	scan    scanner
	texts   map[string]string
	ignored []string
}

// Ignored lists the fields of the last line that were ignored because the
// contract has none of that name; fields of inner objects are "gpus.name". It is
// valid until the next line.
func (p *Parser) Ignored() []string { return p.ignored }

// object reads line as one object.
func (p *Parser) object(line []byte, member func(key []byte) *Error) *Error {
	p.ignored = p.ignored[:0]
	if !utf8.Valid(line) {
		return badJSON("not UTF-8: save the file as UTF-8")
	}
	p.scan.reset(line)
	if err := p.scan.object(member); err != nil {
		return err
	}
	return p.scan.end()
}

// ignore skips a field that the contract does not know and notes it.
func (p *Parser) ignore(prefix string, key []byte) *Error {
	name := p.intern(key)
	p.ignored = append(p.ignored, prefix+name)
	return p.scan.skip(0)
}

// value looks at the value of field: absent is true when it is null, which is
// then consumed; anything but want is refused.
func (p *Parser) value(field string, want kind, reason string) (absent bool, err *Error) {
	switch k := p.scan.kind(); k {
	case want:
		return false, nil
	case kindNull:
		_, err := p.scan.word()
		return true, err
	case kindInvalid:
		return false, p.scan.unexpected("the value of " + field)
	default:
		return false, refuse(reason, field, "is %s, must be %s", k, want)
	}
}

// text reads an optional text; null is the empty text.
func (p *Parser) text(field string, to *string) *Error {
	absent, err := p.value(field, kindText, schemas.ReasonBadField)
	if absent || err != nil {
		*to = ""
		return err
	}
	b, err := p.scan.text()
	if err == nil {
		*to = p.intern(b)
	}
	return err
}

// intern returns b as a string, the same one for the same bytes.
func (p *Parser) intern(b []byte) string {
	if s, ok := p.texts[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(s) > maxTextBytes {
		return s
	}
	if p.texts == nil || len(p.texts) >= maxTexts {
		p.texts = map[string]string{}
	}
	p.texts[s] = s
	return s
}

// flag reads an optional boolean.
func (p *Parser) flag(field string, to *bool) *Error {
	*to = false
	absent, err := p.value(field, kindBool, schemas.ReasonBadField)
	if absent || err != nil {
		return err
	}
	w, err := p.scan.word()
	*to = w == "true"
	return err
}

// decimal reads an optional number, scaled by 10^scale.
func (p *Parser) decimal(field, reason string, scale int) (d decimal, text []byte, absent bool, err *Error) {
	if absent, err = p.value(field, kindNumber, reason); absent || err != nil {
		return decimal{}, nil, absent, err
	}
	if text, err = p.scan.number(); err != nil {
		return decimal{}, nil, false, err
	}
	return scaled(text, scale), text, false, nil
}

// amount reads an optional number that is not negative and, rounded, at most limit.
func (p *Parser) amount(field string, scale int, limit int64) (v int64, absent bool, err *Error) {
	d, text, absent, err := p.decimal(field, schemas.ReasonBadNumber, scale)
	if absent || err != nil {
		return 0, absent, err
	}
	v, err = d.amount(field, text, limit)
	return v, false, err
}

func (d decimal) amount(field string, text []byte, limit int64) (int64, *Error) {
	if d.negative {
		return 0, badNumber(field, "%s is negative", show(text))
	}
	v, ok := d.halfUp()
	if !ok || v > limit {
		return 0, badNumber(field, "%s is more than can be", show(text))
	}
	return v, nil
}

// fraction reads an optional number from 0 to 1 in millionths.
func (p *Parser) fraction(field string, to *uint32) *Error {
	*to = schemas.Absent32
	d, text, absent, err := p.decimal(field, schemas.ReasonBadNumber, 6)
	if absent || err != nil {
		return err
	}
	if d.negative || !d.atMost(one) {
		return badNumber(field, "%s is not from 0 to 1: divide a percentage by 100", show(text))
	}
	v, _ := d.halfUp()
	*to = uint32(v)
	return nil
}

// amount32 reads an optional amount into a column whose greatest value means absent.
func (p *Parser) amount32(field string, scale int, to *uint32) *Error {
	v, absent, err := p.amount(field, scale, int64(schemas.Absent32)-1)
	*to = uint32(v)
	if absent {
		*to = schemas.Absent32
	}
	return err
}

// amount64 is amount32 for a wider column, in whole units. It stops at what an int64 holds,
// since not every reader of the ledger has unsigned integers.
func (p *Parser) amount64(field string, to *uint64) *Error {
	v, absent, err := p.amount(field, 0, math.MaxInt64)
	*to = uint64(v)
	if absent {
		*to = schemas.Absent64
	}
	return err
}

// time reads an instant; null is missing.
func (p *Parser) time(field string, to *int64) *Error {
	*to = missing
	switch k := p.scan.kind(); k {
	case kindNull:
		_, err := p.scan.word()
		return err
	case kindText:
		b, err := p.scan.text()
		if err != nil {
			return err
		}
		*to, err = parseRFC3339(field, b)
		return err
	case kindNumber:
		b, err := p.scan.number()
		if err != nil {
			return err
		}
		*to, err = parseMillis(field, b)
		return err
	case kindInvalid:
		return p.scan.unexpected("the value of " + field)
	default:
		return refuse(schemas.ReasonBadTime, field, "is %s, %s", k, timeFix)
	}
}

const timeFix = "must be RFC 3339 as in 2026-06-01T00:00:00Z, or integer Unix milliseconds"

// The instants that RFC 3339 can write: the years 0 to 9999.
const (
	firstInstant = -62_167_219_200_000
	lastInstant  = 253_402_300_799_999
)

// parseRFC3339 cuts fractions finer than a millisecond off.
func parseRFC3339(field string, b []byte) (int64, *Error) {
	var t time.Time
	if err := t.UnmarshalText(b); err != nil {
		return missing, refuse(schemas.ReasonBadTime, field, "%q %s", show(b), timeFix)
	}
	return t.UnixMilli(), nil
}

// parseMillis reads a number that is known to be one.
func parseMillis(field string, b []byte) (int64, *Error) {
	ms, fits := scaled(b, 0).floor()
	if !fits || ms < firstInstant || ms > lastInstant {
		return missing, refuse(schemas.ReasonBadTime, field, "%q %s", show(b), timeFix)
	}
	return ms, nil
}

// after1970 refuses an optional instant that a column of 0 = not given cannot
// hold, and makes a missing one 0.
func after1970(field string, to *int64) *Error {
	switch {
	case *to == missing:
		*to = 0
	case *to <= 0:
		return refuse(schemas.ReasonBadTime, field, "is 1970 or before: leave it out where it is not known or open")
	}
	return nil
}

// required refuses a row whose time or one of whose texts (name, value, …) is missing.
func required(timeField string, ts int64, texts ...string) *Error {
	if ts == missing {
		return refuse(schemas.ReasonBadTime, timeField, "is missing, %s", timeFix)
	}
	for i := 0; i < len(texts); i += 2 {
		if texts[i+1] == "" {
			return badField(texts[i], "is missing or empty: it is required")
		}
	}
	return nil
}

// asError keeps a nil *Error from becoming an error that is not nil.
func asError(err *Error) error {
	if err == nil {
		return nil
	}
	return err
}
