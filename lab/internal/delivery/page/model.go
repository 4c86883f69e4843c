package page

import "time"

// Snapshot is what the page shows at one moment. The whole of it goes to the browser, so nothing in
// it is secret.
type Snapshot struct {
	Environment string `json:"environment"`
	// Stacks are in the order in which they are brought up.
	Stacks []Stack `json:"stacks"`
	// Azure are the types of the resources in the simulated Azure.
	Azure []Kind `json:"azure"`
	// Delivery is nil until the cluster has Argo CD.
	Delivery *Delivery `json:"delivery"`
	// Releases are those since the lab's background process began, the newest first.
	Releases []Release `json:"releases"`
	// Refused are what was refused, and why, the newest first.
	Refused []Refusal `json:"refused"`
	// Scenario is the last one that was played, or nil.
	Scenario *Scenario `json:"scenario"`
}

// Stack is a Pulumi stack with its last operation.
type Stack struct {
	Name string `json:"name"`
	// Operation is update, refresh, destroy or import, or empty if the stack had none.
	Operation string `json:"operation"`
	// Result is succeeded or failed.
	Result string `json:"result"`
	// Summary says what changed, such as "34 created", and Why what went wrong.
	Summary string    `json:"summary"`
	Why     string    `json:"why"`
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended"`
	// Running says that an operation is under way.
	Running bool `json:"running"`
}

// Kind is a type of resources, with the names of those that exist.
type Kind struct {
	Type  string   `json:"type"`
	Names []string `json:"names"`
}

// Delivery is what Argo CD and Argo Rollouts report, and what users get.
type Delivery struct {
	// Branch is the branch that Argo CD follows.
	Branch string `json:"branch"`
	// Application is the address of the dashboard, or empty if the application's pods do not run.
	Application  string        `json:"application"`
	Applications []Application `json:"applications"`
	Rollout      Rollout       `json:"rollout"`
	// Users are the users' requests of the last seconds, the newest last.
	Users []Requests `json:"users"`
}

// Application is an Application of Argo CD.
type Application struct {
	Name     string `json:"name"`
	Sync     string `json:"sync"`
	Health   string `json:"health"`
	Revision string `json:"revision"`
	Problem  string `json:"problem"`
	Object   string `json:"object"`
}

// Rollout is the Rollout of the service.
type Rollout struct {
	Phase   string `json:"phase"`
	Message string `json:"message"`
	// Image is the tag that is wanted.
	Image string `json:"image"`
	// Stable and Canary are the shares of the requests, in percent.
	Stable int `json:"stable"`
	Canary int `json:"canary"`
	// Step is the present one of Steps.
	Step    int    `json:"step"`
	Steps   int    `json:"steps"`
	Object  string `json:"object"`
	Routing string `json:"routing"`
}

// Requests are the users' requests of one second, or of several.
type Requests struct {
	At      time.Time `json:"at"`
	Seconds float64   `json:"seconds"`
	All     uint64    `json:"all"`
	Failed  uint64    `json:"failed"`
	// Canary are those that the canary answered.
	Canary uint64 `json:"canary"`
	// Weight is the canary's share that the routes set, in percent.
	Weight int `json:"weight"`
}

// Outcome is how a release ended.
type Outcome string

// The outcomes of a release.
const (
	UnderWay   Outcome = "under way"
	Promoted   Outcome = "promoted"
	Aborted    Outcome = "aborted"
	Superseded Outcome = "superseded"
	// Synced is the end of a change that makes no new pods.
	Synced Outcome = "synced"
)

// State is how far a stage of a release is.
type State string

// The states of a stage.
const (
	Waiting State = "waiting"
	Active  State = "active"
	Done    State = "done"
	Failed  State = "failed"
)

// Release is a change on its way from a commit to all requests.
type Release struct {
	ID string `json:"id"`
	// Title is the first line of the commit's message.
	Title string `json:"title"`
	// Tag is the image's; it is empty for a change without a new image.
	Tag     string     `json:"tag"`
	Began   time.Time  `json:"began"`
	Ended   *time.Time `json:"ended"`
	Outcome Outcome    `json:"outcome"`
	// Why says why it was refused.
	Why    string  `json:"why"`
	Stages []Stage `json:"stages"`
	Steps  []Step  `json:"steps"`
	// Background is the analysis that runs during the steps.
	Background *Analysis `json:"background"`
	// Users are the users' requests since its commit was pushed.
	Users []Requests `json:"users"`
	// Requests are all of these, and Failed those that were not answered or were answered with an
	// error, in FailedSeconds different seconds.
	Requests      uint64  `json:"requests"`
	Failed        uint64  `json:"failed"`
	FailedSeconds float64 `json:"failedSeconds"`
	Object        string  `json:"object"`
}

// Stage is a part of a release.
type Stage struct {
	Name  string     `json:"name"`
	State State      `json:"state"`
	From  *time.Time `json:"from"`
	To    *time.Time `json:"to"`
	// Text is what it is about, such as the commit.
	Text string `json:"text"`
}

// Step is a share of the requests that a canary gets, with what judged it.
type Step struct {
	Weight int        `json:"weight"`
	State  State      `json:"state"`
	At     *time.Time `json:"at"`
	// Requests are those that the canary answered at this share, and Failed those with an error.
	Requests uint64    `json:"requests"`
	Failed   uint64    `json:"failed"`
	Analysis *Analysis `json:"analysis"`
}

// Analysis is an AnalysisRun.
type Analysis struct {
	Name    string   `json:"name"`
	Phase   string   `json:"phase"`
	Message string   `json:"message"`
	Metrics []Metric `json:"metrics"`
	Object  string   `json:"object"`
}

// Metric is what an analysis measures.
type Metric struct {
	Name  string `json:"name"`
	Phase string `json:"phase"`
	// Good are the measurements that were successful, of All.
	Good int `json:"good"`
	All  int `json:"all"`
}

// Refusal is something that was refused.
type Refusal struct {
	At time.Time `json:"at"`
	// By is who refused it, such as Argo CD.
	By   string `json:"by"`
	What string `json:"what"`
	Why  string `json:"why"`
	// Now says that it is still so.
	Now    bool   `json:"now"`
	Object string `json:"object"`
}

// Scenario is a scenario with its promise.
type Scenario struct {
	Name    string    `json:"name"`
	Promise string    `json:"promise"`
	Began   time.Time `json:"began"`
	// Passed is nil while it is played.
	Passed   *bool  `json:"passed"`
	Evidence string `json:"evidence"`
	Document string `json:"document"`
}

// Answers are the users' requests so far that a revision of the service answered, by Argo Rollouts'
// hash of the revision; those that none answered have no revision, and failed.
type Answers struct {
	Revision         string
	Requests, Failed uint64
}
