package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/changes"
)

func TestUnit_TheIssueTellsDriftFromNotKnowingAndFromNone(t *testing.T) {
	t.Parallel()
	of := func(environment string, p changes.Project) changes.Report {
		return changes.Report{Environment: environment, Drift: true, Projects: []changes.Project{p}}
	}
	clean := changes.Project{Name: "gridos-infra", Same: 3}
	drifted := changes.Project{Name: "gridos-infra", Changes: []changes.Change{{Op: changes.Update, Level: changes.Plain, Name: "it"}}}
	broken := changes.Project{Name: "gridos-infra", Error: "no stack"}
	expected := []string{"dev", "prod"}
	for _, test := range []struct {
		reports []changes.Report
		title   string
		open    bool
		unknown bool
	}{
		{[]changes.Report{of("dev", clean), of("prod", clean)}, "No drift", false, false},
		{[]changes.Report{of("dev", clean), of("prod", drifted)}, "Drift in prod", true, false},
		{[]changes.Report{of("dev", clean), of("prod", broken)}, "Drift is not known of prod", true, true},
		{[]changes.Report{of("dev", clean)}, "Drift is not known of prod", true, true},
		{[]changes.Report{of("dev", drifted)}, "Drift in dev", true, true},
		{nil, "Drift is not known of dev, prod", true, true},
	} {
		title, body, open, err := driftIssue(test.reports, expected, "https://github.com/run")
		require.NoError(t, err)
		assert.Equal(t, test.title, title)
		assert.Equal(t, test.open, open, title)
		assert.Contains(t, body, "(https://github.com/run)")
		assert.Equal(t, test.unknown, strings.Contains(body, "Not known of: "), body)
	}
	_, _, _, err := driftIssue([]changes.Report{{Environment: "dev"}}, expected, "")
	require.ErrorContains(t, err, "tells no drift")
}
