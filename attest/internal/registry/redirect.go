package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// DefaultTransport is remote.DefaultTransport with connections for as many requests as are in flight, and with a guard
// where it dials. Connections are shared, as those of http.DefaultTransport are.
var DefaultTransport = sync.OnceValue(func() http.RoundTripper {
	base, ok := remote.DefaultTransport.(*http.Transport)
	if !ok {
		return remote.DefaultTransport // a program has put its own there
	}
	t := base.Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 2*defaultParallel, defaultParallel
	t.DialContext = dial
	return t
})

// dial connects as net.Dialer does, but not into this machine's own network if a registry has asked for that.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second, KeepAlive: 5 * time.Second}
	if ctx.Value(elsewhereKey{}) != nil {
		d.Control = func(_, address string, _ syscall.RawConn) error {
			host, _, err := net.SplitHostPort(address)
			if err == nil && isInside(host) {
				err = fmt.Errorf("redirected to %s", host)
			}
			return err
		}
	}
	return d.DialContext(ctx, network, address)
}

// elsewhereKey marks the context of a request that was redirected to another host.
type elsewhereKey struct{}

// checkRedirect keeps a registry from redirecting requests, or sending uploads, to addresses inside this machine's own
// network, or from https to http. It sees names; what they resolve to is looked at where the default transport dials.
// Token servers do not pass it.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first, host := via[0].URL, strings.ToLower(strings.TrimSuffix(req.URL.Hostname(), "."))
	switch {
	case len(via) >= 5:
		return errors.New("too many redirects")
	case first.Scheme == "https" && req.URL.Scheme != "https":
		return errors.New("redirected from https to http")
	case req.URL.Hostname() == first.Hostname():
		return nil
	case isInside(host):
		return fmt.Errorf("redirected to %s", host)
	}
	if proxy, err := http.ProxyFromEnvironment(req); err == nil && proxy == nil { // a proxy resolves the name itself
		*req = *req.WithContext(context.WithValue(req.Context(), elsewhereKey{}, true))
	}
	return nil
}

// sharedSpace is RFC 6598's, which is as private as others.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// numeric matches hosts that resolvers take for an IPv4 address in another spelling, such as 0x7f.1.
var numeric = regexp.MustCompile(`(^|\.)(0x[0-9a-f]*|[0-9]+)$`)

func isInside(host string) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host == "localhost" || strings.HasSuffix(host, ".localhost") || numeric.MatchString(host)
	}
	ip = ip.Unmap()
	return !ip.IsGlobalUnicast() || ip.IsPrivate() || sharedSpace.Contains(ip)
}
