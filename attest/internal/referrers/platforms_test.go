package referrers

import "testing"

func TestNameOfHalfAPlatform(t *testing.T) {
	for want, p := range map[string]*platform{"linux": {OS: "linux"}, "": {}, "linux/arm64": {OS: "linux", Architecture: "arm64"}} {
		if got := p.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
