package tekton

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// A RefusedError reports what the API server will never do: the object is invalid or too large, or an admission webhook or
// a policy denied it. To ask again is of no use before somebody changes the object or the rule.
type RefusedError struct {
	Name   string // of the PipelineRun
	Reason string // in the words of the API server
	Err    error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("tekton: PipelineRun %s is refused: %s", e.Name, e.Reason)
}

// Unwrap returns what the API server answered.
func (e *RefusedError) Unwrap() error { return e.Err }

// A TakenError reports that the name of a run is taken by another PipelineRun than the run's.
type TakenError struct {
	Name    string // of the PipelineRun
	Problem string // what tells it apart
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("tekton: PipelineRun %s is there and is another one: %s; delete it, or begin anew under another name", e.Name, e.Problem)
}

// A ConflictError reports that the object which a plan was made for has changed since. Nothing of the plan was carried out:
// read the object again, and make another plan.
type ConflictError struct {
	Object Object
	Err    error
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("tekton: %s %s is not what it was at version %s; read it again", e.Object.Resource.Resource, e.Object.Name, e.Object.ResourceVersion)
}

// Unwrap returns what the API server answered.
func (e *ConflictError) Unwrap() error { return e.Err }

// A LimitError reports that there are more objects than a limit of the [Client] allows.
type LimitError struct {
	What  string // "pipelineruns" or "taskruns"
	Limit int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("tekton: there are more than %d %s; select fewer, or raise Limits.Objects", e.Limit, e.What)
}

// An OptionError reports an argument or option that cannot be worked with.
type OptionError struct {
	Option  string
	Problem string
}

func (e *OptionError) Error() string { return fmt.Sprintf("tekton: %s %s", e.Option, e.Problem) }

// Retryable reports whether what failed may succeed when it is tried again and nobody changes what was asked for. It is
// false for what is known to stay as it is: a refusal, a name that is taken, a limit, a mistake in an option, a context that
// was canceled, a request that the API server does not know. Everything else is retryable: a quota that is exceeded,
// credentials or rights that are missing, a namespace that is missing or terminating, a webhook that cannot be reached, too
// many requests, conflicts, faults of the server and of the network, and what nobody here has heard of. Of several errors
// joined, all must be. Errors wrap what the server answered, so that SuggestsClientDelay of apimachinery tells when it wants
// to be asked again.
func Retryable(err error) bool {
	switch e := err.(type) {
	case nil, *RefusedError, *TakenError, *LimitError, *OptionError:
		return false
	case apierrors.APIStatus:
		return known(e) && !refuses(e)
	case interface{ Unwrap() []error }:
		return !slices.ContainsFunc(e.Unwrap(), func(err error) bool { return !Retryable(err) })
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return Retryable(inner)
		}
	}
	return err != context.Canceled
}

// known reports whether the API server knows requests of this kind.
func known(status apierrors.APIStatus) bool {
	switch status.Status().Code {
	case http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusUnsupportedMediaType:
		return false
	}
	return true
}

// deniedByPolicy is how the API server tells of a ValidatingAdmissionPolicy; what comes after it is the policy's.
var deniedByPolicy = regexp.MustCompile(`ValidatingAdmissionPolicy '[^']*' (with binding '[^']*' )?denied request: `)

// tooLarge is how the API server tells that etcd takes no object of this size, which is less than its own limit: as a fault
// of its own.
var tooLarge = regexp.MustCompile(`etcdserver: request is too large|trying to send message larger than max`)

// refuses reports whether an answer of the API server is final. It must be certain of that: what is held to be final fails
// a scenario, what is not is tried again.
func refuses(status apierrors.APIStatus) bool {
	s := status.Status()
	err := &apierrors.StatusError{ErrStatus: s}
	_, later := apierrors.SuggestsClientDelay(err)
	if later || apierrors.IsUnexpectedServerError(err) { // the latter came from somebody between the server and us
		return false
	}
	webhook := strings.HasPrefix(s.Message, "admission webhook ") && strings.Contains(s.Message, "denied the request")
	policy := deniedByPolicy.FindStringIndex(s.Message)
	switch {
	case webhook:
		return denial(s.Code)
	case policy != nil:
		// A policy that cannot be evaluated denies everything until somebody repairs it.
		return !strings.HasPrefix(s.Message[policy[1]:], "failed to configure ")
	}
	switch s.Code {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	case http.StatusInternalServerError:
		return tooLarge.MatchString(s.Message)
	}
	return false
}

// denial reports whether a webhook means what it says. It chooses the code by itself; what is wrong with itself, or with the
// moment, has one of those left out.
func denial(code int32) bool {
	switch code {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return code >= 400 && code < 500
}

// failed returns the error of a request about a PipelineRun.
func failed(verb, name string, err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) && refuses(status) {
		return &RefusedError{Name: name, Reason: status.Status().Message, Err: err}
	}
	return fmt.Errorf("tekton: cannot %s PipelineRun %s: %w", verb, name, err)
}

// An Object is what a plan was made for, as it was read: a Snapshot of Konflux, or whatever else holds the state.
type Object struct {
	Resource        schema.GroupVersionResource
	Name            string
	ResourceVersion string // must be given: a plan is only good for what it was made from
}
