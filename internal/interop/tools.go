//go:build tools

package interop

import _ "github.com/sigstore/cosign/v2/cmd/cosign" // built by the tests
