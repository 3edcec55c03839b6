// Package scan turns the reports of scanners and test tools into predicates, the statements that package attest signs
// and keeps on images.
//
// A step of a pipeline calls [Evidence], which has a predicate to write whatever has become of the report:
//
//	p, why := scan.Evidence(report, nil, scan.Options{
//		Scanner: intoto.Scanner{DB: intoto.ScannerDB{LastUpdate: updated}},
//		Started: began,
//	})
//	if p == nil {
//		return why // the report lacks what only the caller knows, or is of another image
//	}
//	record, err := writer.Write(ctx, image, "clair-scan", p) // with the verdict ERROR if there is no report
//
// Others call [Convert], which returns only what a report says. Reports of vulnerabilities become [intoto.Vulns], all
// others [intoto.TestResult]:
//
//	Trivy, Grype, Clair, Quay, OSVScanner, SARIF      vulns/v0.2
//	ClamAV, TestOutput, JUnit, GoTest                 test-result/v0.1
//
// A format is recognised by what no other tool writes. If a report has nothing of that, its format has to be given; that does
// not make a report one that is recognised as another. What is written by a tool that is known and not read, such as Snyk's
// own JSON or an SBOM, is refused with its name and with the flag or the converter that helps.
//
// # What is kept
//
// Each finding of the report is one finding of the predicate; the same vulnerability in two packages is two. Its
// severities say whose they are: the first is the scanner's own word, in lower case, then come CVSS base scores, with the
// method "cvss_v3:nvd" for version 3 by NVD. One annotation holds package, versions, dates and source, under the keys that
// intoto.FindingPackage and its neighbours name; package policy reads them there. What the scanner was told to ignore is
// no finding.
//
// What a report says that the scanner did not look at, or may have missed, is in intoto.Vulns.Unscanned and Incomplete:
// an OS that it does not know, one out of support, a file that it skipped. Where a report has a CVSS vector and no
// score, the score is computed. A score of 0 without a vector is none. An entry about malware is critical.
//
// # What is refused
//
// That nothing was found is a statement which lets images pass, so it must be what the report says. A scan that did not
// run or was cut off is a [*NotRunError] or a [*FormatError], never an empty list. What a report lacks is asked for with a
// [*LackError] for each field, and never made up. A report that names an image by its digest is of no other; of one that
// names none the note of the predicate says so, and Options.RequireDigest refuses it.
//
// Reports are read as a stream: what is in memory at any time is the findings and one value of the report, and [Limits]
// bound both.
package scan
