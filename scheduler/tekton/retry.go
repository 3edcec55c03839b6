package tekton

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// insist makes a request again as long as it may succeed, while ctx lives and for as long as Options.Retry. The request
// itself does not end with ctx, so that its outcome is known.
func (c *session) insist(ctx context.Context, verb string, request func(context.Context) error) error {
	begun := time.Now()
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		err := request(context.WithoutCancel(ctx))
		if !Retryable(err) {
			return err
		}
		c.log.warn("request failed", verb, err)
		wait := pause/2 + rand.N(pause/2)
		if seconds, ok := apierrors.SuggestsClientDelay(err); ok {
			wait = max(wait, time.Duration(seconds)*time.Second)
		}
		if time.Since(begun)+wait > c.o.Retry {
			return fmt.Errorf("tried for %s: %w", c.o.Retry, err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}
