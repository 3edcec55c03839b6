package scan_test

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/testdag/testdag/attest/scan"
)

// prose is as long as descriptions are.
var prose = strings.Repeat("A flaw was found in the way headers are parsed; \\\"remote\\\" attackers can crash it. ", 9)

// links is a list of as many links as advisories have.
var links = `["` + strings.Join([]string{
	"https://access.example/security/cve/CVE-2026-12345", "https://bugzilla.example/show_bug.cgi?id=1712345",
	"https://git.example/commit/0123456789012345678901234567890123456789", "https://lists.example/archives/2026/msg00042.html",
	"https://nvd.example/vuln/detail/CVE-2026-12345", "https://security.example/advisory/ntap-20260919-0002/",
}, `","`) + `"]`

// generated returns a report with n findings, of the size that they have in real ones.
func generated(format scan.Format, n int) []byte {
	var b bytes.Buffer
	each := func(write func(i int)) {
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			write(i)
		}
	}
	switch format {
	case scan.Trivy:
		b.WriteString(`{"SchemaVersion":2,"CreatedAt":"2026-11-01T10:05:00Z","Results":[{"Target":"image (debian 12)","Class":"os-pkgs","Type":"debian","Vulnerabilities":[`)
		each(func(i int) {
			fmt.Fprintf(&b, `{"VulnerabilityID":"CVE-2026-%05d","PkgID":"libssl3@3.0.%d","PkgName":"libssl3","PkgIdentifier":{"PURL":"pkg:deb/debian/libssl3@3.0.%d?arch=amd64&distro=debian-12","UID":"c3465bd7087640a7"},"InstalledVersion":"3.0.%d","FixedVersion":"3.0.99","Status":"fixed","Layer":{"Digest":"sha256:9d48c3bd43c520dc2784e868a780e976b207cbf493eaff8c6596eb871cbd9609","DiffID":"sha256:03901b4a2ea88eeaad62dbe59b072b28b6efa00491962b8741081c5df50c65e0"},"SeveritySource":"nvd","PrimaryURL":"https://avd.example/nvd/cve-2026-%05d","DataSource":{"ID":"debian","Name":"Debian Security Tracker","URL":"https://salsa.example"},"Title":"openssl: information disclosure in fork()","Description":"%s","Severity":"MEDIUM","CweIDs":["CWE-330"],"VendorSeverity":{"amazon":2,"nvd":2,"redhat":1,"ubuntu":1},"CVSS":{"nvd":{"V2Vector":"AV:N/AC:L/Au:N/C:P/I:N/A:N","V3Vector":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N","V2Score":5,"V3Score":5.3},"redhat":{"V3Vector":"CVSS:3.0/AV:N/AC:H/PR:N/UI:N/S:U/C:L/I:L/A:N","V3Score":4.8}},"References":%s,"PublishedDate":"2026-09-10T17:15:00Z","LastModifiedDate":"2026-10-20T22:15:00Z"}`, i, i, i, i, i, prose, links)
		})
		b.WriteString(`]}]}`)
	case scan.Grype:
		b.WriteString(`{"matches":[`)
		each(func(i int) {
			fmt.Fprintf(&b, `{"vulnerability":{"id":"GHSA-%05d","dataSource":"https://github.example/advisories/GHSA-%05d","namespace":"github:language:go","severity":"High","urls":%s,"description":"%s","cvss":[{"type":"Secondary","version":"3.1","vector":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H","metrics":{"baseScore":9.8,"exploitabilityScore":3.9,"impactScore":5.9},"vendorMetadata":{}}],"epss":[{"cve":"CVE-2026-%05d","epss":0.00056,"percentile":0.1754,"date":"2026-04-16"}],"fix":{"versions":["5.9.0"],"state":"fixed"},"advisories":[],"risk":0.05},"relatedVulnerabilities":[{"id":"CVE-2026-%05d","dataSource":"https://nvd.example","namespace":"nvd:cpe","severity":"High","urls":%s,"description":"%s","cvss":[{"source":"nvd","type":"Primary","version":"3.1","vector":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H","metrics":{"baseScore":9.1,"exploitabilityScore":3.9,"impactScore":5.9},"vendorMetadata":{}}]}],"matchDetails":[{"type":"exact-direct-match","matcher":"go-module-matcher","searchedBy":{"language":"go","namespace":"github:language:go"},"found":{"versionConstraint":"<5.9.0 (go)"}}],"artifact":{"id":"94a11874af3337e6","name":"example.org/mod%d","version":"v5.8.0","type":"go-module","locations":[{"path":"/go.mod"}],"language":"go","licenses":["MIT"],"cpes":["cpe:2.3:a:x:y:v5.8.0:*:*:*:*:*:*:*"],"purl":"pkg:golang/example.org/mod%d@v5.8.0","upstreams":[]}}`, i, i, links, prose, i, i, links, prose, i, i)
		})
		b.WriteString(`],"descriptor":{"name":"grype","version":"0.111.0","db":{"status":{"built":"2026-10-31T06:00:00Z","valid":true}},"timestamp":"2026-11-01T10:05:00Z"}}`)
	case scan.Clair:
		b.WriteString(`{"manifest_hash":"sha256:00","packages":{`)
		each(func(i int) {
			fmt.Fprintf(&b, `"p%d":{"id":"p%d","name":"package%d","version":"2.5.1-3.el8","kind":"binary","source":{"id":"","name":"package","version":"2.5.1-3.el8","kind":"source","normalized_version":"","cpe":""},"normalized_version":"","arch":"x86_64","cpe":""}`, i, i, i)
		})
		b.WriteString(`},"environments":{`)
		each(func(i int) {
			fmt.Fprintf(&b, `"p%d":[{"package_db":"var/lib/rpm","introduced_in":"sha256:6028bf2bf935efb2e76706c5fee9486bbf28b200d1a343626995cf119180b295","distribution_id":"1","repository_ids":["1","2"]}]`, i)
		})
		b.WriteString(`},"vulnerabilities":{`)
		each(func(i int) {
			fmt.Fprintf(&b, `"v%d":{"id":"v%d","updater":"RHEL8-updates","name":"CVE-2026-%05d","description":"%s","issued":"2026-11-09T00:00:00Z","links":"https://access.example/errata/RHSA-2026:4464 https://access.example/security/cve/CVE-2026-3445","severity":"Moderate","normalized_severity":"Medium","package":{"id":"","name":"dnf","version":"","kind":"binary","normalized_version":"","cpe":""},"distribution":{"id":"","did":"rhel","name":"Red Hat Enterprise Linux Server","version":"8","cpe":"cpe:2.3:o:redhat:enterprise_linux:8:*:*:*:*:*:*:*"},"repository":{"name":"cpe:/o:redhat:enterprise_linux:8::baseos","key":"rhel-cpe-repository","cpe":""},"fixed_in_version":"0:4.7.0-4.el8"}`, i, i, i, prose)
		})
		b.WriteString(`},"package_vulnerabilities":{`)
		each(func(i int) { fmt.Fprintf(&b, `"p%d":["v%d"]`, i, i) })
		b.WriteString(`},"enrichments":{"message/vnd.clair.map.vulnerability; enricher=clair.cvss schema=x":[{`)
		each(func(i int) {
			fmt.Fprintf(&b, `"v%d":[{"version":"3.1","vectorString":"CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:H/I:H/A:H","attackVector":"NETWORK","baseScore":7.5,"baseSeverity":"HIGH"}]`, i)
		})
		b.WriteString(`}]}}`)
	case scan.OSVScanner:
		b.WriteString(`{"results":[{"source":{"path":"/src/go.mod","type":"lockfile"},"packages":[`)
		each(func(i int) {
			fmt.Fprintf(&b, `{"package":{"name":"example.org/mod%d","version":"5.12.0","ecosystem":"Go"},"vulnerabilities":[{"modified":"2026-01-07T16:27:03Z","published":"2026-01-06T16:20:28Z","schema_version":"1.6.0","id":"GHSA-%05d","aliases":["CVE-2026-%05d"],"related":["CGA-25c9-3jr6-jxxg","CGA-3mm6-7v9h-jmmm"],"summary":"clients vulnerable to denial of service","details":"%s%s","affected":[{"package":{"ecosystem":"Go","name":"example.org/mod%d","purl":"pkg:golang/example.org/mod"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"5.13.0"}]}],"database_specific":{"source":"https://github.example/advisories.json"}}],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],"references":[{"type":"WEB","url":"https://github.example/security/advisories"},{"type":"ADVISORY","url":"https://nvd.example/vuln/detail/CVE-2026-%05d"},{"type":"PACKAGE","url":"https://github.example/mod"}],"database_specific":{"cwe_ids":["CWE-20"],"github_reviewed":true,"severity":"HIGH"}}],"groups":[{"ids":["GHSA-%05d"],"aliases":["CVE-2026-%05d","GHSA-%05d"],"max_severity":"7.5"}]}`, i, i, i, prose, prose, i, i, i, i, i)
		})
		b.WriteString(`]}],"experimental_config":{}}`)
	case scan.SARIF:
		b.WriteString(`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"Check","informationUri":"https://check.example","rules":[`)
		each(func(i int) {
			fmt.Fprintf(&b, `{"id":"CVE-2026-%05d","name":"OsPackageVulnerability","shortDescription":{"text":"openssl: information disclosure in fork()"},"fullDescription":{"text":"%s"},"defaultConfiguration":{"level":"warning"},"helpUri":"https://avd.example/nvd/cve-2026-%05d","help":{"text":"%s","markdown":"%s"},"properties":{"precision":"very-high","security-severity":"5.3","tags":["vulnerability","security","MEDIUM"]}}`, i, prose, i, prose, prose)
		})
		b.WriteString(`]}},"results":[`)
		each(func(i int) {
			fmt.Fprintf(&b, `{"ruleId":"CVE-2026-%05d","ruleIndex":%d,"level":"warning","message":{"text":"Package: libcrypto1.1\nInstalled Version: 1.1.1c-r0\nVulnerability CVE-2026-12345\nSeverity: MEDIUM"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"library/image","uriBaseId":"ROOTPATH"},"region":{"startLine":1,"startColumn":1,"endLine":1,"endColumn":1}},"message":{"text":"library/image: libcrypto1.1@1.1.1c-r0"}}]}`, i, i)
		})
		b.WriteString(`]}]}`)
	}
	return b.Bytes()
}
