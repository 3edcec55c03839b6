// Package scan turns the reports of scanners and test tools into predicates, the statements that package attest signs
// and keeps on images.
//
// [Convert] is all of it:
//
//	p, err := scan.Convert(report, scan.Options{Scanner: attest.Scanner{DB: attest.ScannerDB{LastUpdate: updated}}, Started: began})
//	if err != nil {
//		return err // not a report, or not a whole one; or it lacks what only the caller knows; or the scan did not run
//	}
//	record, err := writer.Write(ctx, image, "clair-scan", p)
//
// Reports of vulnerabilities become [attest.Vulns], all others [attest.TestResult]:
//
//	Trivy, Grype, Clair, Quay, OSVScanner, SARIF      vulns/v0.2
//	ClamAV, TestOutput, JUnit, GoTest                 test-result/v0.1
//
// # What is kept
//
// Each finding of the report is one finding of the predicate; the same vulnerability in two packages is two. Its
// severities say whose they are: the first is the scanner's own word, in lower case, then come CVSS base scores, with the
// method "cvss_v3:nvd" for version 3 by NVD. One annotation holds package, versions, dates and source, under the keys that
// attest.FindingPackage and its neighbours name; package policy reads them there. What the scanner was told to ignore is
// no finding.
//
// # What is refused
//
// That nothing was found is a statement which lets images pass, so it must be what the report says. A scan that did not
// run or was cut off is a [*NotRunError] or a [*FormatError], never an empty list. What a report lacks is asked for with a
// [*LackError] for each field, and never made up. Reports are read as a stream: what is in memory at any time is the
// findings and one value of the report, and [Limits] bound both.
package scan
