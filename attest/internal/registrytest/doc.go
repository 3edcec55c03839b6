// Package registrytest is a registry in this process for tests: a real one, with one image in it, that counts requests
// and breaks as a test says.
package registrytest
