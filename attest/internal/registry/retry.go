package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/testdag/testdag/attest/internal/fault"
)

// Retry calls f until it succeeds, until it fails with an error that again does not accept, or until it was called
// o.Attempts times. It returns the last result. Between two calls it waits as Options.Backoff says, or as long as an
// answerError asks for. It does not start a wait that would outlast ctx.
func Retry[T any](ctx context.Context, o Options, again func(error) bool, f func() (T, error)) (T, error) {
	waits := backoff.NewExponentialBackOff() // with a jitter of one half
	waits.InitialInterval, waits.Multiplier, waits.MaxInterval = o.Backoff, backoffFactor, max(o.Backoff, time.Hour)
	var longest time.Duration // 0 is no limit
	if deadline, ok := ctx.Deadline(); ok {
		longest = max(1, time.Until(deadline))
	}
	result, err := backoff.Retry(ctx, func() (T, error) {
		result, err := f()
		if err != nil && !again(err) {
			err = backoff.Permanent(err)
		}
		return result, err
	}, backoff.WithBackOff(waits), backoff.WithMaxTries(uint(max(1, o.Attempts))), backoff.WithMaxElapsedTime(longest))
	var permanent *backoff.PermanentError // of the last attempt
	if errors.As(err, &permanent) {
		err = permanent.Err
	}
	return result, err
}

// Unfinished names what was going on if ctx has ended meanwhile. Other errors stay as they are.
func Unfinished(ctx context.Context, op, ref string, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return Wrap(op, ref, Overtime(ctx, err))
}

// resending is a transport that repeats a request if its answer is transient or breaks off. To notice the latter it
// reads the body of the answer, as far as the intake of the request says.
type resending struct {
	inner http.RoundTripper
	opts  Options
}

// An intake says how much of an answer's body the transport reads before it returns the answer. A request carries it in
// its context.
type intake struct {
	most   int64
	budget *budget // pays for the body; nil for none
}

type intakeKey struct{}

// smallIntake is that of the requests that go-containerregistry makes: pings and tokens.
var smallIntake = intake{most: mib}

// onceKey marks the context of a request that the transport must not repeat: it is a part of something that can only be
// tried again as a whole. A transient answer to it is an error.
type onceKey struct{}

// RoundTrip makes the request until its answer is final, or attempts are used up.
func (t resending) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Context().Value(onceKey{}) != nil {
		resp, err := t.once(req)
		return closed(resp, err)
	}
	var last *http.Response
	attempt := 0
	resp, err := Retry(req.Context(), t.opts, transient, func() (_ *http.Response, err error) {
		if last != nil {
			last.Body.Close()
		}
		if attempt++; attempt > 1 {
			if req, err = rewound(req); err != nil {
				return nil, err
			}
		}
		last, err = t.once(req)
		return last, err
	})
	if answered(err) {
		return resp, nil
	}
	return closed(resp, err)
}

// closed closes an answer that comes with an error, as a RoundTripper has to.
func closed(resp *http.Response, err error) (*http.Response, error) {
	if err == nil || resp == nil {
		return resp, err
	}
	resp.Body.Close()
	return nil, err
}

// once makes the request. A transient answer comes with an answerError.
func (t resending) once(req *http.Request) (*http.Response, error) {
	resp, err := t.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	in, ok := req.Context().Value(intakeKey{}).(intake)
	if !ok {
		in = smallIntake
	}
	if err := in.read(resp); err != nil {
		return resp, err
	}
	if !transientStatus(resp.StatusCode) {
		return resp, nil
	}
	answer := &answerError{status: resp.StatusCode, wait: retryAfter(resp.Header)}
	deadline, ok := req.Context().Deadline()
	answer.tooLong = ok && answer.wait > time.Until(deadline)
	return resp, answer
}

// rewound returns the request with its body as it was at the begin.
func rewound(req *http.Request) (*http.Request, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, nil
	}
	if req.GetBody == nil {
		return nil, errors.New("the request cannot be repeated: its body can be read only once")
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Body = body
	return req, nil
}

// read reads the body into memory.
func (in intake) read(resp *http.Response) error {
	if in.most == 0 {
		return nil
	}
	body := io.Reader(resp.Body)
	if in.budget != nil {
		body = metered{body, in.budget}
	}
	b, err := io.ReadAll(io.LimitReader(body, in.most))
	var limit *fault.LimitError
	if err != nil && !errors.As(err, &limit) {
		err = &brokenError{err}
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(b), resp.Body), resp.Body}
	return err
}

// A brokenError reports a body that breaks off.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return "the answer breaks off: " + e.err.Error() }

func (e *brokenError) Unwrap() error { return e.err }

// An answerError reports an answer that says to ask again.
type answerError struct {
	status  int
	wait    time.Duration // that the registry asks for, 0 if for none
	tooLong bool          // the request may not take that long
}

func (e *answerError) Error() string {
	text := fmt.Sprintf("the registry answers %d %s", e.status, http.StatusText(e.status))
	if !e.tooLong {
		return text
	}
	return text + fmt.Sprintf(" and asks to wait %s, which is longer than a request may take: "+
		"try again after that, or raise Limits.RequestTime and Limits.CallTime", e.wait)
}

// Unwrap tells package backoff how long to wait.
func (e *answerError) Unwrap() error {
	if e.wait <= 0 {
		return nil
	}
	return &backoff.RetryAfterError{Duration: e.wait}
}

// retryAfter returns how long an answer asks to wait: a number of seconds, or until a date. It is 0 if it asks for
// nothing that can be read.
func retryAfter(header http.Header) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(header.Get("Date")) // by the registry's own clock
	if err != nil {
		now = time.Now()
	}
	return max(0, at.Sub(now))
}

// transient reports whether a request is worth repeating.
func transient(err error) bool { return answered(err) || broken(err) }

// answered reports whether the registry has said to ask again.
func answered(err error) bool {
	var answer *answerError
	return errors.As(err, &answer) && !answer.tooLong
}

func transientStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// broken reports whether a connection has ended before the answer did.
func broken(err error) bool {
	var body *brokenError
	if errors.As(err, &body) {
		return true
	}
	for _, fault := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, fault) {
			return true
		}
	}
	return err != nil && strings.Contains(err.Error(), "transport connection broken") // net/http has no type for it
}
