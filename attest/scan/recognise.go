package scan

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// window is how much of a report is looked at to recognise it.
const window = 64 << 10

// A sign is how a report begins that is written by one tool alone.
type sign struct {
	format Format // empty: it is not read
	what   string // for those that are not read, what it is
	help   string // and how to come to a report that is read

	// marks are alternatives, each of names that must all be there. In JSON a name is that of a member with those around
	// it, "results[].packages", and "bomFormat=CycloneDX" has its value too. In XML it is that of the root, "<testsuite".
	marks []string

	text string // or a regular expression that the begin of text or XML matches

	quote bool // a line of it may say why there is no report
}

// reason is a line that says why there is no report.
var reason = regexp.MustCompile(`(?im)^.*\b(fatal|error|panic|denied|unauthorized|failed)\b.*$`)

// quoted returns what it is with the line that says most, or else the first.
func (s sign) quoted(text []byte) sign {
	if s.quote {
		line := reason.Find(text)
		if line == nil {
			line, _, _ = bytes.Cut(text, []byte("\n"))
		}
		s.what += fmt.Sprintf(" with the line %.200q", bytes.TrimSpace(line))
	}
	return s
}

const (
	clamMark  = "SCAN_SUMMARY" // for the title in the log of ClamAV, wherever it is
	useJUnit  = "write JUnit XML instead"
	useSARIF  = "write SARIF instead"
	scanImage = "scan the image, as with trivy image --format json or grype -o json"
	scanSBOM  = "it lists packages and not what is wrong with them; scan it, as with trivy sbom --format json or grype sbom:FILE -o json"
)

// signs tell reports apart. A name that other tools write too is no mark, however likely it is: a report that is taken for
// another one would be judged by rules that are not its own.
var signs = []sign{
	{format: Trivy, marks: []string{"SchemaVersion ArtifactName", "SchemaVersion ArtifactType", "SchemaVersion Results", "SchemaVersion Trivy", "ArtifactName ArtifactType"}},
	{format: Grype, marks: []string{"matches descriptor", "matches[].vulnerability", "ignoredMatches", "alertsByPackage"}},
	{format: Clair, marks: []string{"manifest_hash", "package_vulnerabilities"}},
	{format: SARIF, marks: []string{"runs[].tool", "runs version=2.1.0", "runs version=2.0.0", "runs $schema=sarif", "version=2.1.0 $schema=sarif", "inlineExternalProperties"}},
	{format: Quay, marks: []string{"data.Layer"}},
	{format: OSVScanner, marks: []string{"results experimental_config", "results experimental_generic_findings", "results license_summary", "results[].packages[].package"}},
	{format: GoTest, marks: []string{
		"Action=start Package Time", "Action=run Package Test", "Action=output Package Output", "Action=pass Package Elapsed",
		"Action=pass Package Test", "Action=fail Package Elapsed", "Action=fail Package Test", "Action=skip Package Elapsed",
		"Action=skip Package Test", "Action=pause Package Test", "Action=cont Package Test", "Action=bench Package Test",
		"Action=attr Package Test", "Action=build-output ImportPath", "Action=build-fail ImportPath",
	}},
	{format: TestOutput, marks: []string{"result successes failures warnings"}},
	{format: JUnit, marks: []string{"<testsuites", "<testsuite"}},
	{format: ClamAV, marks: []string{clamMark}, text: `\A(.*\n)?LibClamAV |\A(/.*: OK\r?\n){20}`},

	{what: "a report of Trivy of before schema 2", help: "run a later trivy with --format json", marks: []string{"[].Target [].Vulnerabilities", "[].Target [].Type"}},
	{what: "a report of a cluster by Trivy", help: "scan each image, as with trivy image --format json", marks: []string{"ClusterName Resources", "ClusterName Findings"}},
	{what: "a report of the Trivy operator", help: "scan the image, as with trivy image --format json", marks: []string{"report.vulnerabilities report.scanner", "items[].report.vulnerabilities"}},
	{what: "Snyk's JSON", help: "run snyk with --sarif, or --sarif-file-output=FILE", marks: []string{
		"vulnerabilities dependencyCount", "vulnerabilities packageManager", "vulnerabilities licensesPolicy",
		"[].vulnerabilities [].dependencyCount", "[].vulnerabilities [].packageManager",
		"vulnerabilities[].semver", "[].vulnerabilities[].semver", "infrastructureAsCodeIssues"}},
	{what: "roxctl's JSON", help: "run roxctl image scan with --output sarif, or roxctl image check with --output junit", marks: []string{
		"result.vulnerabilities result.summary", "result.vulnerabilities[].cveId", "results[].violatedPolicies", "scan.components", "scan.scanTime", "name.registry name.remote"}},
	{what: "an SBOM in CycloneDX", help: scanSBOM, marks: []string{"bomFormat=CycloneDX", "<bom"}},
	{what: "an SBOM in SPDX", help: scanSBOM, marks: []string{"spdxVersion", "SPDXID", "@context=spdx"}, text: `\ASPDXVersion:`},
	{what: "an SBOM by Syft", help: scanSBOM, marks: []string{"artifacts artifactRelationships", "artifacts descriptor"}},
	{what: "a result file of Visual Studio (.trx)", help: "convert it with trx2junit, or run dotnet test with --logger junit", marks: []string{"<TestRun"}},
	{what: "XML of xUnit.net", help: "run dotnet test with --logger junit", marks: []string{"<assemblies", "<assembly"}},
	{what: "XML of NUnit", help: "run dotnet test with --logger junit, or transform it with nunit3-junit.xslt", marks: []string{"<test-run", "<test-results"}},
	{what: "XML of TestNG", help: "let its JUnitReportReporter write JUnit XML", marks: []string{"<testng-results"}},
	{what: "Jest's JSON", help: useJUnit + ", with the reporter jest-junit", marks: []string{"numTotalTests testResults"}},
	{what: "Mocha's JSON", help: useJUnit + ", with mocha-junit-reporter", marks: []string{"stats tests passes failures"}},
	{what: "Cucumber's JSON", help: useJUnit + ", with its junit formatter", marks: []string{"[].elements [].keyword", "[].elements[].steps"}},
	{what: "Semgrep's JSON", help: "run semgrep with --sarif", marks: []string{"results errors paths", "results[].check_id"}},
	{what: "govulncheck's JSON", help: "run govulncheck with -format sarif", marks: []string{"config.protocol_version"}},
	{what: "pip-audit's JSON", help: "scan the lock file, as with osv-scanner --format json", marks: []string{"dependencies fixes"}},
	{what: "a report of GitLab", help: "have its scanner write JSON of its own or SARIF: trivy with --format json, semgrep with --sarif", marks: []string{"vulnerabilities scan.scanner", "scan.analyzer"}},
	{what: "findings of Amazon ECR", help: scanImage, marks: []string{"imageScanFindings"}},
	{what: "JSON of twistcli", help: scanImage, marks: []string{"results consoleURL"}},
	{what: "a VEX document", help: "it says which vulnerabilities matter and not which are there; give it to the scanner, as with trivy --vex or grype --vex", marks: []string{"@context=openvex", "document.csaf_version"}},
	{what: "ESLint's JSON", help: "run eslint with --format @microsoft/eslint-formatter-sarif", marks: []string{"[].filePath [].messages"}},
	{what: "ShellCheck's JSON", help: "convert it, as with csgrep --mode=sarif", marks: []string{"comments[].code", "[].file [].code [].endLine"}},
	{what: "Playwright's JSON", help: useJUnit + ", with playwright test --reporter=junit", marks: []string{"config suites stats"}},
	{what: "XML of Checkstyle", help: useSARIF, marks: []string{"<checkstyle"}},
	{what: "XML of PMD", help: "run pmd with --format sarif", marks: []string{"<pmd"}},
	{what: "XML of SpotBugs", help: "run spotbugs with -sarif", marks: []string{"<BugCollection"}},
	{what: "a report of coverage", help: "it says which lines ran and not how the tests ended; " + useJUnit, marks: []string{"<coverage"}, text: `\Amode: (set|count|atomic)\r?\n`},
	{what: "Bandit's JSON", help: "run bandit with -f sarif", marks: []string{"metrics generated_at", "results[].test_id"}},
	{what: "gosec's JSON", help: "run gosec with -fmt sarif", marks: []string{"Issues Stats"}},
	{what: "golangci-lint's JSON", help: "run golangci-lint with --output.sarif.path", marks: []string{"Issues Report"}},
	{what: "Checkov's JSON", help: "run checkov with -o sarif", marks: []string{"check_type results", "[].check_type [].results"}},
	{what: "JSON of Dependency-Check", help: "run dependency-check with --format SARIF", marks: []string{"reportSchema scanInfo"}},
	{what: "JSON of Gitleaks", help: "run gitleaks with --report-format sarif", marks: []string{"[].RuleID [].Secret"}},
	{what: "JSON of npm audit", help: "scan the lock file, as with osv-scanner --format json or trivy fs --format json", marks: []string{"auditReportVersion"}},
	{what: "a template or table of Trivy", help: "run trivy with --format json; trivy convert makes tables of that", text: `(?m)^Total: \d+ \(UNKNOWN: \d+|^Report Summary\s*$`},
	{what: "a table of Grype", help: "run grype with -o json", text: `(?m)^NAME +INSTALLED +(FIXED[ -]IN +)?(TYPE|VULNERABILITY)`},
	{what: "the text of go test", help: "run go test -json, or convert it with go-junit-report", text: `(?m)^(=== RUN |\s*--- (PASS|FAIL|SKIP): |ok  \t|FAIL\t|\?   \t|PASS\r?$)`},
	{what: "TAP", help: useJUnit + ", or convert it, as with tap-xunit", text: `\ATAP version \d|\A1\.\.\d+\r?\n(not )?ok `},
	{what: "an HTML page", help: "a server may have answered with a page to log in or of an error, or the tool was told to write HTML", marks: []string{"<html", "<head", "<body"}, text: `(?i)\A(<!--.*-->\s*)?<(!doctype )?html\b`},
	{what: "a log", quote: true, help: "the tool may have ended before it wrote its report", marks: []string{"level msg", "level message", "severity message", "log.level message"},
		text: `(?m)\A(\S+ )?[\[(]?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d|\A[\[(]?(time=|level=|panic: |Traceback |FATA?L?\b|ERRO?R?\b|WARN|INFO|DEBUG|[Ee]rror: |fatal: |[IWEF]\d{4} \d\d:)|\A.*(not found|No such file or directory|[Pp]ermission denied|Killed|Segmentation fault)\b`},
	{what: "an answer that tells of an error", quote: true, help: "no scan ran", marks: []string{"error", "code message", "message documentation_url", "<Error", "errors[].message", "errors[].code", "[].error"}},
	{what: "a compressed file", help: "unpack it", text: `\A(\x1f\x{FFFD}|PK\x03\x04|BZh\d|\(\x{FFFD}/\x{FFFD}|\x{FFFD}7zXZ)`}, // FFFD is a byte that is not UTF-8
	{what: "text in UTF-16", help: "write it in UTF-8; in PowerShell that is Out-File -Encoding utf8", text: `\A(\x{FFFD}\x{FFFD}|.\x00.\x00|\x00.\x00.)`},
}

// texts are the regular expressions of signs.
var texts = func() []*regexp.Regexp {
	all := make([]*regexp.Regexp, len(signs))
	for i, s := range signs {
		if s.text != "" {
			all[i] = regexp.MustCompile(s.text)
		}
	}
	return all
}()

// recognise returns the sign of a report by how it begins, one without a format if it is not read. It may take something
// else for a report: that it is one is for the converter to see.
func recognise(begin []byte) sign {
	text := bytes.TrimLeft(begin, " \t\r\n")
	isJSON := bytes.HasPrefix(text, []byte("{")) && !bytes.HasPrefix(text, []byte("{\x00"))
	isText := !isJSON && !bytes.HasPrefix(text, []byte("<")) && !bytes.HasPrefix(text, []byte("["))
	names, first := namesIn(text), text[:min(len(text), 4<<10)]
	for i, s := range signs {
		byName := (!isText || s.format == GoTest || s.format == ClamAV) && slices.ContainsFunc(s.marks, names.haveAll)
		if byName || !isJSON && texts[i] != nil && texts[i].Match(first) {
			return s.quoted(text)
		}
	}
	return describe(text, names)
}

// names are those at the begin of JSON or XML, and whether they are at the top.
type names map[string]bool

func (n names) haveAll(mark string) bool {
	for _, name := range strings.Fields(mark) {
		if _, there := n[name]; !there {
			return false
		}
	}
	return true
}

// unknown begins the words for what no sign tells.
const unknown = "of no tool that is known"

// describe says what it is that no sign tells.
func describe(text []byte, n names) sign {
	var top []string
	for name, is := range n {
		if is {
			top = append(top, fmt.Sprintf("%.40q", name))
		}
	}
	slices.Sort(top)
	text = bytes.TrimSpace(text)
	first, _, _ := bytes.Cut(text, []byte("\n"))
	s := sign{what: fmt.Sprintf("%s: it begins with %.60q", unknown, bytes.TrimSpace(first)), help: "give its format if it is one of those that are read"}
	switch whole := string(text); {
	case whole == "":
		s = sign{what: "empty", help: "the tool may have ended before it wrote anything"}
	case whole == "null" || whole == "{}" || whole == "[]":
		s = sign{what: whole, help: "it says nothing of a scan"}
	case len(top) > 0:
		s.what = unknown + ": it has the names " + strings.Join(top[:min(len(top), 8)], ", ")
	}
	return s
}

// namesIn returns the names of a document, or of a line of one behind what the go command says: "go: downloading ...".
func namesIn(text []byte) names {
	n := names{}
	if bytes.HasPrefix(text, []byte("<")) {
		n.addRoot(text)
		return n
	}
	if !bytes.HasPrefix(text, []byte("[")) && !bytes.HasPrefix(text, []byte("{")) {
		for line := range bytes.Lines(text) {
			if bytes.HasPrefix(line, []byte("-")) && clamTitle.Match(bytes.TrimRight(line, "\r\n")) {
				n[clamMark] = false
			}
		}
		if i := bytes.Index(append([]byte("\n"), text...), []byte("\n{")); i >= 0 {
			text = text[i:]
		}
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	_ = n.addValue(dec, "", 0) // it may end anywhere
	return n
}

// addValue adds the names in the next value, which is at that path.
func (n names) addValue(dec *json.Decoder, path string, depth int) error {
	const deepest = 6
	if depth > deepest {
		path = "" // these have no names, and it does not get long
	}
	token, err := dec.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			name := path + fmt.Sprint(key)
			if depth < deepest {
				n[name] = path == ""
			}
			if err := n.addValue(dec, name+".", depth+1); err != nil {
				return err
			}
		}
	case json.Delim('['):
		for dec.More() {
			if err := n.addValue(dec, strings.TrimSuffix(path, ".")+"[].", depth+1); err != nil {
				return err
			}
		}
	default:
		n.addText(strings.TrimSuffix(path, "."), fmt.Sprint(token), depth)
		return nil
	}
	_, err = dec.Token()
	return err
}

// addText adds a value of a member at the top, as marks have it.
func (n names) addText(name, value string, depth int) {
	if depth > 1 || len(value) > 200 {
		return
	}
	n[name+"="+value] = false
	for _, part := range []string{"sarif", "spdx", "openvex"} { // of the URL of a schema
		if strings.Contains(strings.ToLower(value), part) {
			n[name+"="+part] = false
		}
	}
}

// addRoot adds the first element.
func (n names) addRoot(text []byte) {
	dec := xml.NewDecoder(bytes.NewReader(text))
	dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // only names are looked at
	for {
		token, err := dec.RawToken()
		if err != nil {
			return
		}
		if start, ok := token.(xml.StartElement); ok {
			n["<"+start.Name.Local] = true
			return
		}
	}
}
