package scan

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/testdag/testdag/attest/intoto"
)

// Evidence is [Convert] for a step of a pipeline, which must leave evidence whatever has become of the report: otherwise
// an older pass stays the newest. It returns the predicate to write, and the error to tell:
//
//	the report                                                       predicate             error
//	says how the test ended                                          that                  nil
//	says that the test could not tell                                that, with ERROR      that it says so
//	cannot be opened or read, is over a limit, is empty, is cut      ERROR with a note     why
//	off, is no report that is known or none of its format, or is
//	of a scan that did not run
//	lacks something (LackError), is of another image or names none   none                  the mistake
//	(ImageError), or contradicts the times in opts (TimeError);
//	opts are wrong (intoto.FieldError) or name no format
//
// An error without a predicate is a mistake of the caller, who can mend it and try again. Failed is why there is no report,
// such as the error of opening it or the word of a scanner that crashed; then r is not looked at. An ERROR is of
// opts.Finished, or else of now.
func Evidence(r io.Reader, failed error, opts Options) (intoto.Predicate, error) {
	if failed != nil {
		failed = fmt.Errorf("scan: there is no report: %w", failed)
		return couldNotTell(failed, opts), failed
	}
	p, err := Convert(r, opts)
	for _, isOne := range mistakesOfCaller {
		if isOne(err) {
			return nil, err
		}
	}
	if err != nil {
		if !isA[*FormatError](err) && !isA[*NotRunError](err) && !isA[*UnknownFormatError](err) && !isA[*intoto.LimitError](err) {
			err = fmt.Errorf("scan: the report cannot be read: %w", err)
		}
		return couldNotTell(err, opts), err
	}
	if result, ok := p.(intoto.TestResult); ok && result.Result == intoto.Errored {
		err = errors.New("scan: the report says ERROR: the test could not tell")
	}
	return p, err
}

// mistakesOfCaller are the errors of Convert that say nothing of the scan.
var mistakesOfCaller = []func(error) bool{
	isA[*LackError], isA[*ImageError], isA[*TimeError], isA[*intoto.FieldError],
	func(err error) bool {
		var unknown *UnknownFormatError
		return errors.As(err, &unknown) && unknown.Format != ""
	},
}

func isA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// couldNotTell is the evidence that there is no report.
func couldNotTell(why error, opts Options) intoto.Predicate {
	const most = 1000
	note := strings.Join(strings.Fields(strings.ToValidUTF8(strings.TrimPrefix(why.Error(), "scan: "), "\uFFFD")), " ")
	if len(note) > most {
		note = strings.ToValidUTF8(note[:most], "") + "…"
	}
	now := opts.Now
	if now == nil {
		now = time.Now
	}
	return intoto.TestResult{Result: intoto.Errored, Timestamp: cmp.Or(opts.Finished, now()).UTC(), Note: note}
}
