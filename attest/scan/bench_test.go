package scan_test

import (
	"bytes"
	"testing"

	"github.com/testdag/testdag/attest/scan"
)

// Ten thousand findings are a large image that nobody looked after for years.
func BenchmarkConvert(b *testing.B) {
	for _, format := range []scan.Format{scan.Trivy, scan.Grype, scan.Clair, scan.OSVScanner, scan.SARIF} {
		b.Run(string(format), func(b *testing.B) {
			report := generated(format, 10_000)
			b.ReportAllocs()
			b.SetBytes(int64(len(report)))
			for b.Loop() {
				if _, err := scan.Convert(bytes.NewReader(report), told); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
