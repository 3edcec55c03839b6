package tekton_test

import (
	"fmt"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// denial is what the API server answers when an admission webhook denies a request: its message is put behind the name of
// the webhook, and code and reason are the webhook's.
func denial(code int32, reason metav1.StatusReason) metav1.Status {
	return metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason,
		Message: fmt.Sprintf("admission webhook %q denied the request: validation failed: missing field(s): spec.tasks", "validation.webhook.pipeline.tekton.dev")}
}

var _ = http.StatusOK
