// Package attesttest holds what the tests of package attest and of the packages below it compare with.
package attesttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/attest/internal/fault"
)

// Noon is the time in every test.
var Noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Compact returns JSON without blanks.
func Compact(s string) string {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(s)); err != nil {
		panic(err)
	}
	return b.String()
}

// Field wants an error about those fields, in that order.
func Field(t *testing.T, err error, fields ...string) {
	t.Helper()
	var got []string
	var walk func(error)
	walk = func(err error) {
		if f, ok := err.(*fault.FieldError); ok {
			got = append(got, f.Field)
		}
		switch e := err.(type) {
		case interface{ Unwrap() []error }:
			for _, err := range e.Unwrap() {
				walk(err)
			}
		case interface{ Unwrap() error }:
			walk(e.Unwrap())
		}
	}
	walk(err)
	if !slices.Equal(got, fields) {
		t.Errorf("mistakes in %q, want %q (%v)", got, fields, err)
	}
}

// As wants an error of that type, and returns it.
func As[E error](t testing.TB, err error) E {
	t.Helper()
	var e E
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want a %T", err, e)
	}
	return e
}

// Coffee is a digest of nothing.
var Coffee = v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("c0ffee00", 8)}

// SomeHex is a digest in hex.
const SomeHex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
