package scan

import (
	"errors"
	"io"

	"github.com/testdag/testdag/attest"
)

func clamAV(io.Reader, Options) (attest.Predicate, error)     { return nil, stub(ClamAV) }
func testOutput(io.Reader, Options) (attest.Predicate, error) { return nil, stub(TestOutput) }
func jUnit(io.Reader, Options) (attest.Predicate, error)      { return nil, stub(JUnit) }
func goTest(io.Reader, Options) (attest.Predicate, error)     { return nil, stub(GoTest) }

func stub(f Format) error { return &FormatError{Format: f, Err: errors.New("not read yet")} }
