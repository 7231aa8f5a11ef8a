package service

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/v2"
)

// Sources say where settings come from, beside the defaults.
type Sources struct {
	Base string   // YAML file that need not exist and is weaker than all others, "" = none
	File string   // YAML file, "" = none
	Env  []string // KEY=value, as os.Environ gives them; other variables are ignored
	Set  []string // key=value in order; the last one of a key wins
}

// A setting is one value and where it was found.
type setting struct {
	key, value string
	list       []string // of a YAML sequence; value is empty then
	place      string   // for errors: FILE:LINE, GPUMETER_KEY or --set
}

// Load fills cfg, a pointer to a struct that holds the defaults. The file
// overrides the defaults, the environment the file, Set the environment. A key
// that cfg does not have is an error that names the key, its place and the
// nearest key there is. The methods Validate() error of cfg and of what it embeds
// have the last word.
func Load(cfg any, from Sources) error {
	keys := Keys(cfg)
	known := make(map[string]Key, len(keys))
	for _, k := range keys {
		known[k.Name] = k
	}
	settings, err := from.read(keys)
	if err != nil {
		return err
	}
	tree := koanf.New(".")
	places := make(map[string]string, len(settings))
	for _, s := range settings {
		k, ok := known[s.key]
		if !ok {
			return unknown(s, keys)
		}
		v, err := s.convert(k)
		if err != nil {
			return err
		}
		if err := tree.Set(s.key, v); err != nil {
			return fmt.Errorf("%s: %s: %w", s.place, s.key, err)
		}
		places[s.key] = s.place
	}
	if err := tree.Unmarshal("", cfg); err != nil {
		return explain(err, places, known)
	}
	if err := validate(reflect.ValueOf(cfg).Elem()); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return nil
}

// validate asks v. A struct that embeds configurations has the method of one of
// them, or of none, unless it has its own: then its fields are asked as well,
// and what two of them say is said once.
func validate(v reflect.Value) error {
	var all []error
	collect(v, &all)
	said := make(map[string]bool, len(all))
	all = slices.DeleteFunc(all, func(err error) bool {
		twice := said[err.Error()]
		said[err.Error()] = true
		return twice
	})
	return errors.Join(all...)
}

func collect(v reflect.Value, all *[]error) {
	judge, judged := v.Interface().(interface{ Validate() error })
	if judged {
		flatten(judge.Validate(), all)
	}
	if v.Kind() != reflect.Struct {
		return
	}
	embeds := slices.ContainsFunc(reflect.VisibleFields(v.Type()), func(f reflect.StructField) bool { return f.Anonymous })
	for i := range v.NumField() {
		if tag, ok := v.Type().Field(i).Tag.Lookup("koanf"); ok && tag != "-" && (embeds || !judged) {
			collect(v.Field(i), all)
		}
	}
}

// flatten takes joined errors apart.
func flatten(err error, all *[]error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			flatten(e, all)
		}
	} else if err != nil {
		*all = append(*all, err)
	}
}

// read gathers the settings, the weakest first.
func (from Sources) read(keys []Key) ([]setting, error) {
	all, err := readFile(from.Base)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	given, err := readFile(from.File)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	all = append(all, given...)
	env := make(map[string]string, len(from.Env))
	for _, variable := range from.Env {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	for _, k := range keys {
		// Unknown variables are not refused: orchestrators and the other
		// binaries put theirs into the same environment.
		if value, ok := env[k.Env]; ok {
			all = append(all, setting{key: k.Name, value: value, place: k.Env})
		}
	}
	for _, pair := range from.Set {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("--set %s: write key=value", pair)
		}
		all = append(all, setting{key: strings.TrimSpace(key), value: value, place: "--set"})
	}
	return all, nil
}

// maxFile is the longest configuration that is read: all keys with a sentence
// beside each are a tenth of it.
const maxFile = 256 << 10

func readFile(name string) ([]setting, error) {
	if name == "" {
		return nil, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: longer than %d bytes: this is no configuration", name, maxFile)
	}
	return parseYAML(name, text)
}

func unknown(s setting, keys []Key) error {
	if near := nearest(s.key, keys); near != "" {
		return fmt.Errorf("%s: unknown key %q: did you mean %q?", s.place, s.key, near)
	}
	return fmt.Errorf("%s: unknown key %q: --help lists the keys", s.place, s.key)
}

// holdsPassword reports whether an address has a password in it.
func holdsPassword(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return false
	}
	password, _ := u.User.Password()
	return password != ""
}

// convert refuses what the decoder would take for something else.
func (s setting) convert(k Key) (any, error) {
	if s.place == "--set" && k.address && holdsPassword(s.value) {
		return nil, fmt.Errorf("--set %s: holds a password, which every process list shows: name its file with ?password_file=PATH, or set %s", s.key, k.Env)
	}
	switch {
	case k.list && s.list != nil:
		return s.list, nil
	case k.list && s.value == "":
		return []string{}, nil
	case k.list:
		items := strings.Split(s.value, ",")
		for i := range items {
			items[i] = strings.TrimSpace(items[i])
		}
		return items, nil
	case s.list != nil:
		return nil, fmt.Errorf("%s: %s: a list where one value is wanted (%s)", s.place, s.key, k.Type)
	case s.value == "" && !k.text:
		return nil, fmt.Errorf("%s: %s: empty: a %s is wanted", s.place, s.key, k.Type)
	}
	return s.value, nil
}

// explain names the place of a value that does not fit its field.
func explain(err error, places map[string]string, known map[string]Key) error {
	var why *mapstructure.DecodeError
	if !errors.As(err, &why) {
		return fmt.Errorf("configuration: %w", err)
	}
	key, cause := why.Name(), why.Unwrap()
	return fmt.Errorf("%s: %s: not a %s: %w", places[key], key, known[key].Type, cause)
}
