package rollouts

import (
	"github.com/gridos/sharedinfra/bootstrap/notifications"
	"github.com/gridos/sharedinfra/internal/naming"
)

// Expressions of Argo Rollouts' templates.
const (
	// tellName is the Application to which the Rollout belongs. Argo CD writes it, and the object's
	// place, into the annotation (argo-cd v3.2.11, util/argo/resource_tracking.go).
	tellName = `{{index (splitList ":" (index .rollout.metadata.annotations "argocd.argoproj.io/tracking-id")) 0}}`
	// tellImage is the image of the first container, whose tag has the commit that it was built from.
	tellImage = "{{(index .rollout.spec.template.spec.containers 0).image}}"
	// tellAnalysis are the results of the analyses of this release, the last one first.
	tellAnalysis = "{{range .analysisRuns}}{{with .status}}{{with .message}}; {{.}}{{end}}{{end}}{{end}}"
)

// subject is what the events are about: the Application of a Rollout.
func (s Settings) subject() notifications.Subject {
	return notifications.Subject{Name: tellName, URL: s.ArgoCDURL + "/applications/" + naming.NamespaceArgoCD + "/" + tellName}
}

// events are what happens to a Rollout and Argo CD does not tell: to Argo CD an aborted release is
// degraded, and one that waits for a person is suspended, as it is in each step. A trigger's name
// follows from the reason of a Kubernetes event (argo-rollouts v1.9.0, utils/record/record.go,
// translateReasonToTrigger); the event is told when it is written.
func events() []notifications.Event {
	return []notifications.Event{
		{
			Name: "release-aborted", Trigger: "on-rollout-aborted",
			Says: "has aborted a release, and serves the version before", Revision: tellImage, Reason: tellAnalysis, Colour: "Attention",
		},
		{
			// The analysis had nothing to measure. Until a person promotes or aborts, autoscaling is held up
			// (argo-rollouts v1.9.0, rollout/context.go, haltProgress).
			Name: "release-undecided", Trigger: "on-analysis-run-inconclusive",
			Says: "has paused a release until a person promotes or aborts it", Revision: tellImage, Reason: tellAnalysis, Colour: "Warning",
		},
	}
}
