package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/testdag/testdag/attest/policy/report"
)

const defaultTimeout = 10 * time.Minute

// options are the arguments, checked as far as that can be done without reading anything.
type options struct {
	images      []name.Digest
	imageFiles  []string
	platforms   bool
	policy      string
	keys        []string
	builderKeys []string
	identity    string
	issuer      string
	trustedRoot string
	expect      string
	checkpoint  string
	maxAge      time.Duration
	now         time.Time // zero: when it is
	timeout     time.Duration
	output      report.Format
	colors      bool // if standard output is a terminal
	outputFile  string
	testOutput  string
}

// repeated are the flags of which each value counts. Any other takes one value.
var repeated = map[string]bool{"image": true, "images": true, "key": true, "provenance-key": true}

// flags returns the flags, which fill o. An empty value stands for the default, so that a Task can hand on parameters
// that were not given.
func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("gate", flag.ContinueOnError)
	f.SetOutput(io.Discard) // parse reports every mistake, not only the first
	f.Func("image", "`REPOSITORY@DIGEST` of an image to judge; may be given several times", func(s string) error {
		image, err := name.NewDigest(s)
		o.images = append(o.images, image)
		return err
	})
	f.Func("images", "`FILE` with images to judge: a Snapshot of Konflux in YAML or JSON, or one image in each line;"+
		" may be given several times", several(&o.imageFiles))
	f.BoolFunc("platforms", "judge each image of an index too", func(s string) (err error) {
		o.platforms, err = strconv.ParseBool(s)
		return err
	})
	f.StringVar(&o.policy, "policy", "", "`FILE` with the policy")
	f.Func("key", "`FILE` with a public key that may vouch for evidence; may be given several times", several(&o.keys))
	f.Func("provenance-key", "`FILE` with a public key that may sign provenance, and nothing else, as that of Tekton Chains; may be given several times"+
		" (default: those of -key and the identity)", several(&o.builderKeys))
	f.StringVar(&o.identity, "identity", "", "`SUBJECT` of certificates that may vouch, beside keys; needs -issuer and -trusted-root")
	f.StringVar(&o.issuer, "issuer", "", "`URL` of the issuer that vouched for the identity")
	f.StringVar(&o.trustedRoot, "trusted-root", "", "`FILE` with the sigstore trusted root, as JSON")
	f.StringVar(&o.expect, "expect", "", "`FILE` with a scheduler's snapshot, as JSON: evidence of the one image from its"+
		" runs that are over must be there")
	f.StringVar(&o.checkpoint, "checkpoint", "", "`DIR` that remembers the newest evidence seen, so that its deletion is noticed")
	f.Func("max-age", "how old evidence may be, as a `DURATION` like 168h (default: of any age); what builds tell may be of any age",
		duration(&o.maxAge))
	f.Func("effective-time", "judge as of this `TIME`, a date or RFC 3339; evidence that is newer denies (default: now)",
		moment(&o.now))
	f.Func("timeout", fmt.Sprintf("give up after this `DURATION` (default: %v)", defaultTimeout), duration(&o.timeout))
	f.Func("output", "`FORMAT` of the report: table, color, markdown, json, junit, sarif or test-output (default: table, with colours on"+
		" a terminal)", func(s string) error { return o.output.UnmarshalText([]byte(s)) })
	f.Func("output-file", "write the report to `FILE`, and the table to standard output", file(&o.outputFile))
	f.Func("test-output", "write the result TEST_OUTPUT of a Tekton task to `FILE`", file(&o.testOutput))
	f.VisitAll(func(one *flag.Flag) { one.Value = &value{Value: one.Value, repeated: repeated[one.Name]} })
	return f
}

// A value is that of a flag. An empty one is as if the flag were not there, and a second one is refused unless the flag
// may be repeated: it would win in silence.
type value struct {
	flag.Value
	repeated bool
	given    string
}

// Set sets the value of the flag.
func (v *value) Set(s string) error {
	if s == "" {
		return nil
	}
	if v.given != "" && !v.repeated {
		return fmt.Errorf("given before, with the value %q: give one", v.given)
	}
	v.given = s
	return v.Value.Set(s)
}

// String returns no default: where there is one, the usage has it.
func (v *value) String() string { return "" }

// IsBoolFlag reports whether the flag may stand without a value.
func (v *value) IsBoolFlag() bool {
	b, ok := v.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

func several(into *[]string) func(string) error {
	return func(s string) error {
		*into = append(*into, s)
		return nil
	}
}

func duration(into *time.Duration) func(string) error {
	return func(s string) error {
		d, err := time.ParseDuration(s)
		if err == nil && d <= 0 {
			err = errors.New("want more than nothing")
		}
		*into = d
		return err
	}
}

// moment takes a time, or a date, which stands for its first instant in UTC, as in a policy.
func moment(into *time.Time) func(string) error {
	return func(s string) error {
		for _, layout := range []string{time.RFC3339, time.DateOnly} {
			if t, err := time.Parse(layout, s); err == nil {
				*into = t
				return nil
			}
		}
		return errors.New("want 2026-01-31 or 2026-01-31T12:00:00Z")
	}
}

// file takes the name of a file that will be replaced. Anything else of that name is no place for a report.
func file(into *string) func(string) error {
	return func(s string) error {
		info, err := os.Lstat(s)
		if err == nil && !info.Mode().IsRegular() {
			return errors.New("there is something that is no file")
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		*into = s
		return nil
	}
}

// parse reads the arguments, and what they leave open from the environment. It reports every mistake, joined, with what
// could be read.
func parse(args []string, getenv func(string) string) (options, error) {
	o := options{timeout: defaultTimeout, output: report.Table}
	o.colors = getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	f := o.flags()
	mistakes := parseAll(f, args)
	if slices.ContainsFunc(mistakes, func(err error) bool { return errors.Is(err, flag.ErrHelp) }) {
		return o, flag.ErrHelp
	}
	given := map[string]bool{}
	f.Visit(func(one *flag.Flag) { given[one.Name] = true })
	f.VisitAll(func(one *flag.Flag) {
		value := getenv(variable(one.Name))
		if value == "" || given[one.Name] {
			return
		}
		values := []string{value}
		if strings.HasSuffix(one.Name, "key") || one.Name == "images" {
			values = filepath.SplitList(value)
		}
		for _, value := range values {
			if err := f.Set(one.Name, value); err != nil {
				mistakes = append(mistakes, fmt.Errorf("invalid value %q for %s: %w", value, variable(one.Name), err))
			}
		}
	})
	return o, errors.Join(append(mistakes, o.check()...)...)
}

// parseAll goes on after a mistake, so that all are told at once.
func parseAll(f *flag.FlagSet, args []string) (mistakes []error) {
	for len(args) > 0 {
		err := f.Parse(args)
		rest := f.Args()
		switch {
		case err != nil:
			mistakes = append(mistakes, err)
			if len(rest) == len(args) {
				rest = rest[1:]
			}
		case len(rest) > 0:
			mistakes = append(mistakes, fmt.Errorf("unexpected argument %q", rest[0]))
			rest = rest[1:]
		}
		args = rest
	}
	return mistakes
}

// variable returns the name of a flag's variable in the environment.
func variable(flag string) string {
	return "GATE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// check says what is missing, and what does not go together. A file that is read is not taken for one to write, since
// those are removed first.
func (o *options) check() (mistakes []error) {
	wrong := func(is bool, text string) {
		if is {
			mistakes = append(mistakes, errors.New(text))
		}
	}
	identity := o.identity != "" || o.issuer != "" || o.trustedRoot != ""
	wrong(len(o.images)+len(o.imageFiles) == 0, "-image is required, as REPOSITORY@DIGEST, or -images")
	wrong(o.policy == "", "-policy is required")
	wrong(len(o.keys)+len(o.builderKeys) == 0 && !identity,
		"-key is required, or -provenance-key, or -identity with -issuer and -trusted-root: who may vouch for evidence")
	wrong(identity && (o.identity == "" || o.issuer == "" || o.trustedRoot == ""), "-identity, -issuer and -trusted-root are of use only together")
	wrong(o.outputFile != "" && o.outputFile == o.testOutput, "-output-file and -test-output name the same file")
	read := slices.Concat([]string{o.policy, o.expect, o.trustedRoot}, o.imageFiles, o.keys, o.builderKeys)
	for _, out := range []*string{&o.outputFile, &o.testOutput} {
		if slices.ContainsFunc(read, func(in string) bool { return sameFile(in, *out) }) {
			mistakes = append(mistakes, fmt.Errorf("%s is to be read, and would be replaced by the report", *out))
			*out = ""
		}
	}
	return mistakes
}

// sameFile reports whether both names lead to one file that is there.
func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

func usage(w io.Writer) {
	fmt.Fprint(w, `usage: gate -image REPOSITORY@DIGEST -policy FILE -key FILE [flags]
       gate -images FILE -policy FILE -key FILE [flags]

Judges images by the newest evidence about them. Exit codes:
  0  every image is allowed
  1  at least one is denied: there are violations, and the report tells them
  2  at least one could not be judged, and the error says why; also after this help

Each flag can be a variable of the environment instead: GATE_MAX_AGE stands for -max-age. GATE_IMAGES,
GATE_KEY and GATE_PROVENANCE_KEY may hold several files, divided as in PATH. Flags win.

`)
	f := new(options).flags()
	f.SetOutput(w)
	f.PrintDefaults()
}
