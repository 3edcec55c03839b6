// Package konflux proves that the integration-service reads the status annotation that scheduler/konflux writes, and the
// other way round, with the service's own parser; and that an import of the library moves few of the service's
// requirements. It is a module of its own, so that the service's dependencies never reach users of the library.
//
// The version of the parser is that of January 2026, which module proxies have. What came later it does not know: the
// status TestWarning, which makes it refuse the whole annotation, and the fields isOptionalScenario and runAfter, which
// it drops.
package konflux
