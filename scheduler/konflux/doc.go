// Package konflux puts the rules of package scheduler in the place of the integration-service's own gating.
package konflux
