package tekton_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/testdag/testdag/scheduler/pipelinerun"
	"github.com/testdag/testdag/scheduler/tekton"
)

// denial is what the API server answers when an admission webhook denies a request: its message is put behind the name of
// the webhook, and code and reason are the webhook's.
func denial(code int32, reason metav1.StatusReason) metav1.Status {
	return metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason,
		Message: fmt.Sprintf("admission webhook %q denied the request: validation failed: missing field(s): spec.tasks", "validation.webhook.pipeline.tekton.dev")}
}

func webhook(code int32, reason metav1.StatusReason) error {
	return &apierrors.StatusError{ErrStatus: denial(code, reason)}
}

func forbidden(why string) *apierrors.StatusError {
	return apierrors.NewForbidden(pipelineRuns.GroupResource(), "scan-1-x", errors.New(why))
}

// policy is what the API server makes of a ValidatingAdmissionPolicy's answer: an error of the kind Forbidden, with code
// and reason changed.
func policy(code int32, reason metav1.StatusReason, message string) error {
	err := forbidden(message)
	err.ErrStatus.Code, err.ErrStatus.Reason = code, reason
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Message: message})
	return err
}

func terminating() error {
	err := forbidden("unable to create new content in namespace team because it is being terminated")
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: "NamespaceTerminating", Field: "metadata.namespace"})
	return err
}

func retryAfter(err error) error {
	var status *apierrors.StatusError
	errors.As(err, &status)
	status.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: 3}
	return err
}

// What an answer to a creation means.
func TestAnswers(t *testing.T) {
	runs := pipelineRuns.GroupResource()
	kind := schema.GroupKind{Group: "tekton.dev", Kind: "PipelineRun"}
	generic := func(code int, message string, unexpected bool) error {
		return apierrors.NewGenericServerResponse(code, "post", runs, "", message, 0, unexpected)
	}
	for name, test := range map[string]struct {
		answer             error
		refused, retryable bool
	}{
		"invalid":                     {apierrors.NewInvalid(kind, "x", field.ErrorList{field.Required(field.NewPath("spec"), "")}), true, false},
		"cannot be decoded":           {apierrors.NewBadRequest(`PipelineRun in version "v1" cannot be handled as a PipelineRun: strict decoding error`), true, false},
		"too large":                   {apierrors.NewRequestEntityTooLargeError("limit is 3145728"), true, false},
		"too large for etcd":          {apierrors.NewInternalError(errors.New("etcdserver: request is too large")), true, false},
		"too large for etcd's client": {apierrors.NewInternalError(errors.New("rpc error: code = ResourceExhausted desc = trying to send message larger than max (2098201 vs. 2097152)")), true, false},
		"webhook":                     {webhook(400, metav1.StatusReasonBadRequest), true, false},
		"webhook without a reason":    {webhook(400, ""), true, false},
		"webhook forbids":             {webhook(403, metav1.StatusReasonForbidden), true, false},
		"policy":                      {policy(422, metav1.StatusReasonInvalid, "ValidatingAdmissionPolicy 'runs' with binding 'all' denied request: no such pipeline"), true, false},
		"policy forbids":              {policy(403, metav1.StatusReasonForbidden, "ValidatingAdmissionPolicy 'runs' with binding 'all' denied request: no such pipeline"), true, false},
		"policy says unauthorized":    {policy(401, metav1.StatusReasonUnauthorized, "ValidatingAdmissionPolicy 'runs' with binding 'all' denied request: no such pipeline"), true, false},
		"policy cannot be evaluated":  {policy(422, metav1.StatusReasonInvalid, "ValidatingAdmissionPolicy 'runs' with binding 'all' denied request: failed to configure binding: no params found"), false, true},
		"policy without a binding":    {policy(422, metav1.StatusReasonInvalid, "ValidatingAdmissionPolicy 'runs' denied request: failed to configure policy: failed to find resource"), false, true},
		"quota":                       {forbidden("exceeded quota: runs, requested: count/pipelineruns.tekton.dev=1, used: count/pipelineruns.tekton.dev=5, limited: count/pipelineruns.tekton.dev=5"), false, true},
		"quota without status":        {forbidden("status unknown for quota: runs, resources: count/pipelineruns.tekton.dev"), false, true},
		"quota that is not there":     {forbidden("insufficient quota to consume: count/pipelineruns.tekton.dev"), false, true},
		"rights":                      {apierrors.NewForbidden(runs, "", errors.New(`User "system:serviceaccount:team:ci" cannot create resource "pipelineruns" in API group "tekton.dev" in the namespace "team"`)), false, true},
		"credentials":                 {apierrors.NewUnauthorized(""), false, true},
		"namespace terminating":       {terminating(), false, true},
		"namespace missing":           {apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "team"), false, true},
		"kind missing":                {generic(404, "", false), false, true},
		"server starts":               {forbidden("not yet ready to handle request"), false, true},
		"webhook cannot be reached":   {apierrors.NewInternalError(errors.New(`failed calling webhook "validation.webhook.pipeline.tekton.dev": failed to call webhook: connection refused`)), false, true},
		"webhook has a fault":         {webhook(500, metav1.StatusReasonInternalError), false, true},
		"webhook is busy":             {webhook(429, metav1.StatusReasonTooManyRequests), false, true},
		"webhook has no credentials":  {webhook(401, metav1.StatusReasonUnauthorized), false, true},
		"webhook lost a race":         {webhook(409, metav1.StatusReasonConflict), false, true},
		"webhook misses something":    {webhook(404, metav1.StatusReasonNotFound), false, true},
		"webhook says when":           {retryAfter(webhook(403, metav1.StatusReasonForbidden)), false, true},
		"conflict":                    {apierrors.NewConflict(runs, "x", errors.New("modified")), false, true},
		"too many requests":           {apierrors.NewTooManyRequests("slow down", 1), false, true},
		"server timeout":              {apierrors.NewServerTimeout(runs, "create", 1), false, true},
		"timeout":                     {apierrors.NewTimeoutError("request did not complete within requested timeout", 0), false, true},
		"etcd":                        {apierrors.NewInternalError(errors.New("etcdserver: leader changed")), false, true},
		"unavailable":                 {apierrors.NewServiceUnavailable("apiserver is shutting down"), false, true},
		"bad gateway":                 {generic(502, "bad gateway", true), false, true},
		"a proxy forbids":             {generic(403, "<html>no</html>", true), false, true},
		"a proxy cannot process":      {generic(422, "<html>no</html>", true), false, true},
		"network":                     {&url.Error{Op: "Post", URL: "https://api", Err: syscall.ECONNREFUSED}, false, true},
		"network ends":                {&url.Error{Op: "Post", URL: "https://api", Err: io.ErrUnexpectedEOF}, false, true},
		"no address":                  {&net.DNSError{Err: "no such host", Name: "api", IsTemporary: true}, false, true},
		"request takes too long":      {context.DeadlineExceeded, false, true},
		"the caller does not want it": {context.Canceled, false, false},
		"method":                      {apierrors.NewMethodNotSupported(runs, "create"), false, false},
		"media type":                  {generic(415, "", false), false, false},
		"acceptable":                  {generic(406, "", false), false, false},
		"what nobody has heard of":    {errors.New("gremlins"), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newAPIServer(t)
			s.before = func(string, schema.GroupVersionResource, string) error { return test.answer }
			err := (&world{apiServer: s}).client(tekton.Limits{}).Create(t.Context(), pipelinerun.PipelineRun{Meta: pipelinerun.Meta{Name: "scan-1-x"}})
			var refused *tekton.RefusedError
			if errors.As(err, &refused) != test.refused || tekton.Retryable(err) != test.retryable || !errors.Is(err, test.answer) {
				t.Errorf("%v: refused is %t and retryable %t; want %t and %t", err, refused != nil, tekton.Retryable(err), test.refused, test.retryable)
			}
			if test.refused && (refused.Name != "scan-1-x" || refused.Reason != test.answer.Error()) {
				t.Errorf("got %+v", refused)
			}
			if !strings.Contains(err.Error(), "PipelineRun scan-1-x") {
				t.Errorf("%q does not say which", err)
			}
		})
	}
}

// What is there and cannot be read is not known to be the run.
func TestThereAndNotRead(t *testing.T) {
	w, c := bare(t)
	for i, fault := range []error{nil, apierrors.NewServiceUnavailable("etcd has no leader"), apierrors.NewNotFound(pipelineRuns.GroupResource(), "a")} {
		w.fail(func(verb string, _ schema.GroupVersionResource, _ string) error {
			if verb == "get" {
				return fault
			}
			return nil
		})
		if err := c.Create(t.Context(), someRun("a")); !errors.Is(err, fault) || tekton.Retryable(err) != (i > 0) {
			t.Errorf("got %v", err)
		}
	}
}

func TestRetryable(t *testing.T) {
	quota, refused := forbidden("exceeded quota: runs"), &tekton.RefusedError{Name: "x", Reason: "no", Err: forbidden("no")}
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{&tekton.TakenError{Name: "x", Problem: "no label"}, false},
		{&tekton.OptionError{Option: "Options.Scope", Problem: "is empty"}, false},
		{&tekton.LimitError{What: "taskruns", Limit: 1}, false},
		{&tekton.ConflictError{Err: apierrors.NewConflict(pipelineRuns.GroupResource(), "x", errors.New("modified"))}, true},
		{fmt.Errorf("again: %w", quota), true},
		{fmt.Errorf("again: %w", refused), false},
		{errors.Join(quota, quota), true},
		{errors.Join(quota, refused), false},
		{errors.Join(quota, context.Canceled), false},
		{fmt.Errorf("all: %w", errors.Join(quota, refused)), false},
		{fmt.Errorf("all: %w and %w", quota, context.Canceled), false},
		{&url.Error{Op: "Post", URL: "https://api", Err: context.Canceled}, false},
		{&tekton.ConflictError{}, true},
	} {
		if got := tekton.Retryable(test.err); got != test.want {
			t.Errorf("Retryable(%v) is %t", test.err, got)
		}
	}
}

// What comes over a real connection: answers of others than the API server, connections that break, and pauses.
func TestConnection(t *testing.T) {
	create := func(t *testing.T, handler http.HandlerFunc) error {
		server := httptest.NewServer(handler)
		defer server.Close()
		cluster, err := dynamic.NewForConfig(&rest.Config{Host: server.URL, QPS: -1})
		if err != nil {
			t.Fatal(err)
		}
		c, err := tekton.NewClient(cluster, "team", tekton.Limits{Timeout: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return c.Create(t.Context(), pipelinerun.PipelineRun{Meta: pipelinerun.Meta{Name: "scan-1-x"}})
	}
	for name, handler := range map[string]http.HandlerFunc{
		"a proxy forbids": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>Forbidden</html>", http.StatusForbidden)
		},
		"a proxy cannot": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>Bad Gateway</html>", http.StatusBadGateway)
		},
		"a proxy rejects":       func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>Bad Request</html>", 400) },
		"the connection breaks": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"the answer breaks": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"apiVersion":"tekton.dev/v1"`)
		},
		"no answer comes": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := create(t, handler); !tekton.Retryable(err) {
				t.Errorf("%v is not retryable", err)
			}
		})
	}
	t.Run("the server answers", func(t *testing.T) {
		err := create(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,
				"message":"admission webhook \"policy.example.com\" denied the request: no"}`)
		})
		if refused := new(*tekton.RefusedError); !errors.As(err, refused) {
			t.Errorf("got %v", err)
		}
	})
}
