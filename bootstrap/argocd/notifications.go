package argocd

import "github.com/gridos/sharedinfra/bootstrap/notifications"

// Expressions of Argo CD's templates.
const (
	tellName = "{{.app.metadata.name}}"
	// tellCompared is the commit that was compared last.
	tellCompared = "{{.app.status.sync.revision}}"
	// tellCommit is the commit that is, or was, synced. In the first moment of an operation, and
	// after one that could not begin, there is no result: then it is the commit that was compared
	// last. Argo CD's own default needs the result.
	tellCommit = "{{$commit := .app.status.sync.revision}}" +
		"{{with .app.status.operationState}}{{with .syncResult}}{{with .revision}}{{$commit = .}}{{end}}{{end}}{{end}}{{$commit}}"
)

// subject is what the events of Argo CD are about: an Application.
var subject = notifications.Subject{
	Name: tellName, Commit: tellCommit,
	URL: "{{.context.argocdUrl}}/applications/{{.app.metadata.namespace}}/" + tellName,
}

// events are what happens to an Application and is told. The conditions are those of Argo CD's
// catalogue of triggers, if it has one.
func events() []notifications.Event {
	const (
		operation = "app.status.operationState != nil and "
		commit    = "app.status.operationState?.syncResult?.revision"
	)
	return []notifications.Event{
		{
			Name: "sync-running", When: operation + "app.status.operationState.phase in ['Running']", OncePer: commit,
			Says: "is being synced", Revision: tellCommit, State: "pending", Colour: "Accent", OnlyGitHub: true,
		},
		{
			Name:    "deployed",
			When:    operation + "app.status.operationState.phase in ['Succeeded'] and app.status.health.status == 'Healthy'",
			OncePer: commit,
			Says:    "runs the new version", Revision: tellCommit, State: "success", Colour: "Good",
		},
		{
			Name: "sync-failed", When: operation + "app.status.operationState.phase in ['Error', 'Failed']",
			Says: "could not be synced", Revision: tellCommit, State: "error", Colour: "Attention",
		},
		{
			Name: "not-compared", When: "app.status.sync.status == 'Unknown'",
			Says: "could not be compared with Git", Revision: tellCompared, State: "error", Colour: "Attention",
		},
		{
			Name: "degraded", When: "app.status.health.status == 'Degraded'",
			Says: "is degraded", Revision: tellCommit, State: "failure", Colour: "Attention",
		},
		{
			// Argo CD begins to sync at once, unless a sync window is closed or people sync by hand; a sync
			// that failed is told as such. It writes the status OutOfSync after the operation, and takes
			// the operation away when it ends (argo-cd v3.2.11, controller/appcontroller.go,
			// processAppRefreshQueueItem and setOperationState).
			Name: "out-of-sync",
			When: "app.status.sync.status == 'OutOfSync' and app.operation == nil and " +
				"app.status.operationState?.phase == 'Succeeded' and " +
				"time.Now().Sub(time.Parse(app.status.operationState.finishedAt)).Minutes() >= 5",
			Says: "differs from Git, and nothing syncs it", Revision: tellCompared, State: "failure", Colour: "Attention",
		},
		{
			// Argo CD counts the syncs of a commit that it has synced before (argo-cd v3.2.11,
			// controller/appcontroller.go, autoSync). It also makes one after a sync whose effect it has not
			// seen yet, which finds everything unchanged. Several objects take several syncs, and a program
			// may change one as often as Argo CD does: once an hour is enough.
			Name: "drift-undone",
			When: operation + "app.status.operationState.phase in ['Succeeded'] and " +
				"(app.status.operationState.operation?.sync?.autoHealAttemptsCount ?? 0) > 0 and " +
				"any(app.status.operationState.syncResult?.resources ?? [], not ((#.message ?? '') endsWith ' unchanged'))",
			OncePer: commit + " + ' ' + app.status.operationState.startedAt[:13]",
			Says:    "was changed in the cluster, and is as Git says again", Revision: tellCommit,
			Reason: "{{range .app.status.operationState.operation.sync.resources}}; {{.kind}} {{.name}}{{end}}",
			State:  "success", Colour: "Warning",
		},
	}
}
