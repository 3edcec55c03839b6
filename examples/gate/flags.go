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
)

const defaultTimeout = 10 * time.Minute

// options are the arguments, checked as far as that can be done without reading anything.
type options struct {
	image       name.Digest
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
	output      string
	outputFile  string
	testOutput  string
}

// flags returns the flags, which fill o. An empty value stands for the default, so that a Task can hand on parameters
// that were not given.
func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("gate", flag.ContinueOnError)
	f.SetOutput(io.Discard) // parse reports every mistake, not only the first
	f.Func("image", "`REPOSITORY@DIGEST` of the image to judge", optional(func(s string) (err error) {
		o.image, err = name.NewDigest(s)
		return err
	}))
	f.BoolFunc("platforms", "judge each image of an index too", optional(func(s string) (err error) {
		o.platforms, err = strconv.ParseBool(s)
		return err
	}))
	f.StringVar(&o.policy, "policy", "", "`FILE` with the policy")
	f.Func("key", "`FILE` with a public key that may vouch for evidence; may be given several times", optional(several(&o.keys)))
	f.Func("provenance-key", "`FILE` with a public key that may sign provenance, and nothing else, as that of Tekton Chains; may be given several times"+
		" (default: those of -key and the identity)", optional(several(&o.builderKeys)))
	f.StringVar(&o.identity, "identity", "", "`SUBJECT` of certificates that may vouch, beside keys; needs -issuer and -trusted-root")
	f.StringVar(&o.issuer, "issuer", "", "`URL` of the issuer that vouched for the identity")
	f.StringVar(&o.trustedRoot, "trusted-root", "", "`FILE` with the sigstore trusted root, as JSON")
	f.StringVar(&o.expect, "expect", "", "`FILE` with a scheduler's snapshot, as JSON: evidence of -image from its runs that are over must be there")
	f.StringVar(&o.checkpoint, "checkpoint", "", "`DIR` that remembers the newest evidence seen, so that its deletion is noticed")
	f.Func("max-age", "how old evidence may be, as a `DURATION` like 168h (default: of any age); what builds tell may be of any age", optional(duration(&o.maxAge)))
	f.Func("now", "judge as of this `TIME`, in RFC 3339; evidence that is newer denies (default: now)", optional(func(s string) (err error) {
		o.now, err = time.Parse(time.RFC3339, s)
		return err
	}))
	f.Func("timeout", fmt.Sprintf("give up after this `DURATION` (default: %v)", defaultTimeout), optional(duration(&o.timeout)))
	f.Func("output", "`FORMAT` of the report: table, json, junit or sarif (default: table)", optional(func(s string) error {
		if _, ok := formats[s]; !ok {
			return errors.New("want table, json, junit or sarif")
		}
		o.output = s
		return nil
	}))
	f.Func("output-file", "write the report to `FILE`, and the table to standard output", optional(file(&o.outputFile)))
	f.Func("test-output", "write the result TEST_OUTPUT of a Tekton task to `FILE`", optional(file(&o.testOutput)))
	return f
}

func optional(set func(string) error) func(string) error {
	return func(s string) error {
		if s == "" {
			return nil
		}
		return set(s)
	}
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
	o := options{timeout: defaultTimeout, output: "table"}
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
		if one.Name == "key" || one.Name == "provenance-key" {
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
	wrong(o.image == name.Digest{}, "-image is required, as REPOSITORY@DIGEST")
	wrong(o.policy == "", "-policy is required")
	wrong(len(o.keys)+len(o.builderKeys) == 0 && !identity,
		"-key is required, or -provenance-key, or -identity with -issuer and -trusted-root: who may vouch for evidence")
	wrong(identity && (o.identity == "" || o.issuer == "" || o.trustedRoot == ""), "-identity, -issuer and -trusted-root are of use only together")
	wrong(o.outputFile != "" && o.outputFile == o.testOutput, "-output-file and -test-output name the same file")
	read := slices.Concat([]string{o.policy, o.expect, o.trustedRoot}, o.keys, o.builderKeys)
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

Judges an image by the newest evidence about it. Exit codes:
  0  the image is allowed
  1  it is denied: there are violations, and the report tells them
  2  it could not be judged, and the error says why; also after this help

Each flag can be a variable of the environment instead: GATE_MAX_AGE stands for -max-age. GATE_KEY and
GATE_PROVENANCE_KEY may hold several files, divided as in PATH. Flags win.

`)
	f := new(options).flags()
	f.SetOutput(w)
	f.PrintDefaults()
}
