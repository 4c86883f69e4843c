package rendered

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Risk is what a change does to a running cluster.
type Risk string

// The risks, the highest first.
const (
	// Dangerous changes delete data, or everything of one kind.
	Dangerous Risk = "dangerous"
	// Risky changes interrupt something, widen rights, or are refused by the API server.
	Risky Risk = "risky"
	// Plain changes need no more attention than any other.
	Plain Risk = "plain"
)

// Risks returns the risks, the highest first.
func Risks() []Risk { return []Risk{Dangerous, Risky, Plain} }

// rating is the rating of one change.
type rating struct {
	change    *Change
	was, is   Object
	afterward []Object // all of the later side
	first     bool     // nothing is installed yet
}

func (r rating) note(risk Risk, format string, values ...any) {
	if slices.Index(Risks(), risk) < slices.Index(Risks(), r.change.Risk) {
		r.change.Risk = risk
	}
	if reason := fmt.Sprintf(format, values...); !slices.Contains(r.change.Reasons, reason) {
		r.change.Reasons = append(r.change.Reasons, reason)
	}
}

// rate sets the risk of the change, and why it has it.
func (r rating) rate() {
	r.rateRights()
	r.ratePods()
	if (r.is.CRDFolder || r.was.CRDFolder) && !r.first {
		r.note(Risky, "Helm reads the folder crds at the installation only: the cluster keeps what it has until people apply it")
		return
	}
	switch r.change.Op {
	case Delete:
		r.rateDeletion()
	case Create:
		r.rateWebhooks()
		if !r.first && loses[r.is.GetKind()].reason == whoReaches {
			r.note(Risky, whoReaches) // what no policy selected was open (kubernetes.io, "Network Policies")
		}
	case Update:
		r.rateWebhooks()
		r.rateUpdate()
	}
}

const whoReaches = "decides who reaches what"

// loses says what the deletion of an object does, by the kind of the object.
var loses = map[string]struct {
	risk   Risk
	reason string
}{
	// With the reclaim policy Delete, which a StorageClass has unless it says another
	// (kubernetes.io, "Persistent Volumes", Reclaiming).
	"PersistentVolumeClaim": {Dangerous, "the volume is deleted with its data, unless its StorageClass retains it"},
	"PersistentVolume":      {Dangerous, "the cluster no longer knows the volume"},
	// kubernetes.io, "Extend the Kubernetes API with CustomResourceDefinitions", Delete a
	// CustomResourceDefinition.
	"CustomResourceDefinition": {Dangerous, "every object of this kind is deleted with it"},
	"Namespace":                {Dangerous, "everything in the namespace is deleted"},
	"StatefulSet":              {Risky, "its pods end; its claims stay"},
	"Deployment":               {Risky, "its pods end"},
	"DaemonSet":                {Risky, "its pods end"},
	"Rollout":                  {Risky, "its pods end"},
	"Service":                  {Risky, "clients lose the Service's name and address"},
	"Ingress":                  {Risky, "what it let in no longer gets through"},
	"Gateway":                  {Risky, "what it let in no longer gets through"},
	"HTTPRoute":                {Risky, "what it let in no longer gets through"},
	"VirtualService":           {Risky, "what it let in no longer gets through"},
	"PodDisruptionBudget":      {Risky, "an upgrade of the nodes may end all pods at once"},
	"HorizontalPodAutoscaler":  {Risky, "the workload no longer scales"},
	"NetworkPolicy":            {Risky, whoReaches},
	"AuthorizationPolicy":      {Risky, whoReaches},
	"PeerAuthentication":       {Risky, whoReaches},
}

// kept are the annotations by which Helm or Argo CD lets an object stay that is no longer among
// what it installs.
func kept(o Object) bool {
	annotations := o.GetAnnotations()
	options := strings.Split(annotations["argocd.argoproj.io/sync-options"], ",")
	return annotations["helm.sh/resource-policy"] == "keep" ||
		slices.ContainsFunc(options, func(option string) bool { return strings.TrimSpace(option) == "Prune=false" })
}

func (r rating) rateDeletion() {
	lost, ok := loses[r.was.GetKind()]
	switch {
	case !ok || r.was.Hook:
	case kept(r.was):
		r.note(Risky, "it stays in the cluster, and nothing manages it any more")
	default:
		r.note(lost.risk, "%s", lost.reason)
	}
}

func (r rating) rateUpdate() {
	if !r.is.Hook && !r.was.Hook { // an earlier hook is deleted before the next one is made
		for _, path := range refused(r.was, r.is) {
			r.note(Risky, "%s cannot be changed: the API server refuses the update, until the object is deleted", path)
		}
	}
	switch r.is.GetKind() {
	case "Deployment", "StatefulSet", "ReplicaSet", "Rollout":
		if !r.scaled() {
			r.halved("spec.replicas", 1)
		}
	case "HorizontalPodAutoscaler":
		r.halved("spec.minReplicas", 1)
		r.halved("spec.maxReplicas", 1)
	case "PodDisruptionBudget":
		r.rateBudget()
	case "Service":
		r.rateService()
	case "PersistentVolumeClaim":
		r.rateSize()
	case "CustomResourceDefinition":
		r.rateVersions()
	case "Namespace":
		for _, name := range slices.Sorted(maps.Keys(r.was.GetLabels())) {
			if strings.HasPrefix(name, "pod-security.kubernetes.io/") && r.is.GetLabels()[name] != r.was.GetLabels()[name] {
				r.note(Risky, "%s decides what pods may do", name)
			}
		}
	case "ServiceAccount":
		for _, name := range []string{"azure.workload.identity/client-id", "azure.workload.identity/tenant-id"} {
			if r.was.GetAnnotations()[name] != r.is.GetAnnotations()[name] {
				r.note(Risky, "%s decides as whom the pods sign in to Azure", name)
			}
		}
	}
	if loses[r.is.GetKind()].reason == whoReaches && !same(r.was.Object["spec"], r.is.Object["spec"]) {
		r.note(Risky, whoReaches)
	}
	if kept(r.was) && !kept(r.is) {
		if lost, ok := loses[r.is.GetKind()]; ok && lost.risk == Dangerous {
			r.note(Risky, "a later deletion no longer spares it")
		}
	}
}

// scaled reports whether an autoscaler decides how many pods the workload has.
func (r rating) scaled() bool {
	return slices.ContainsFunc(r.afterward, func(o Object) bool {
		return (o.GetKind() == "HorizontalPodAutoscaler" || o.GetKind() == "ScaledObject") &&
			text(o, "spec.scaleTargetRef.name") == r.is.GetName() && o.GetNamespace() == r.is.GetNamespace() &&
			(text(o, "spec.scaleTargetRef.kind") == r.is.GetKind() || o.GetKind() == "ScaledObject")
	})
}

// halved notes that a number falls to a half or less.
func (r rating) halved(path string, without float64) {
	number := func(o Object) float64 {
		if n, ok := at(o, path).(float64); ok {
			return n
		}
		return without
	}
	if was, is := number(r.was), number(r.is); is < was && is*2 <= was {
		r.note(Risky, "%s falls from %v to %v", path, was, is)
	}
}

// rateBudget notes that a budget lets more pods be disrupted than before. Numbers and percentages
// cannot be compared.
func (r rating) rateBudget() {
	least, most := "spec.minAvailable", "spec.maxUnavailable"
	compare := func(path string) (int, bool) {
		was, unit, ok := quantity(at(r.was, path))
		is, other, okToo := quantity(at(r.is, path))
		switch {
		case !ok || !okToo || unit != other:
			return 0, false
		case is < was:
			return -1, true
		case is > was:
			return 1, true
		default:
			return 0, true
		}
	}
	if order, ok := compare(least); ok && order < 0 {
		r.note(Risky, "%s falls: more pods may be evicted at once", least)
	}
	if order, ok := compare(most); ok && order > 0 {
		r.note(Risky, "%s rises: more pods may be evicted at once", most)
	}
	if !same(at(r.was, "spec.selector"), at(r.is, "spec.selector")) {
		r.note(Risky, "spec.selector decides which pods the budget protects")
	}
}

// quantity reads a number or a percentage.
func quantity(value any) (float64, string, bool) {
	switch v := value.(type) {
	case float64:
		return v, "", true
	case string:
		if percent, ok := strings.CutSuffix(v, "%"); ok {
			n, err := strconv.ParseFloat(percent, 64)
			return n, "%", err == nil
		}
		n, err := strconv.ParseFloat(v, 64)
		return n, "", err == nil
	default:
		return 0, "", false
	}
}

func (r rating) rateService() {
	if was, is := settled("spec.type", at(r.was, "spec.type")), settled("spec.type", at(r.is, "spec.type")); !same(was, is) {
		r.note(Risky, "another spec.type: the Service gets another address, or loses one")
	}
	if !same(at(r.was, "spec.selector"), at(r.is, "spec.selector")) {
		r.note(Risky, "spec.selector decides which pods get the traffic")
	}
	ports := map[any]bool{}
	each(at(r.is, "spec.ports"), func(port map[string]any) { ports[port["port"]] = true })
	each(at(r.was, "spec.ports"), func(port map[string]any) {
		if !ports[port["port"]] {
			r.note(Risky, "clients no longer reach port %v", port["port"])
		}
	})
}

// rateSize notes that a claim shrinks (Kubernetes 1.35.0, ValidatePersistentVolumeClaimUpdate:
// "does not actually support volume shrinking").
func (r rating) rateSize() {
	const path = "spec.resources.requests.storage"
	was, err := resource.ParseQuantity(text(r.was, path))
	if err != nil {
		return
	}
	if is, err := resource.ParseQuantity(text(r.is, path)); err == nil && is.Cmp(was) < 0 {
		r.note(Risky, "%s cannot shrink: the API server refuses the update", path)
	}
}

// rateVersions notes versions of a kind that are no longer served.
func (r rating) rateVersions() {
	served := map[any]bool{}
	each(at(r.is, "spec.versions"), func(version map[string]any) { served[version["name"]] = version["served"] == true })
	each(at(r.was, "spec.versions"), func(version map[string]any) {
		if version["served"] == true && !served[version["name"]] {
			r.note(Risky, "version %v is no longer served", version["name"])
		}
	})
}

// rateWebhooks notes webhooks that refuse requests while they do not answer. Fail is the default
// (kubernetes.io, "Dynamic Admission Control", Failure policy).
func (r rating) rateWebhooks() {
	if kind := r.is.GetKind(); kind != "ValidatingWebhookConfiguration" && kind != "MutatingWebhookConfiguration" {
		return
	}
	failing := map[any]bool{}
	each(r.was.Object["webhooks"], func(hook map[string]any) { failing[hook["name"]] = hook["failurePolicy"] != "Ignore" })
	each(r.is.Object["webhooks"], func(hook map[string]any) {
		if hook["failurePolicy"] != "Ignore" && !failing[hook["name"]] {
			r.note(Risky, "the API server refuses requests while the webhook %v does not answer", hook["name"])
		}
	})
}

// each calls a function for the objects of a list.
func each(value any, do func(map[string]any)) {
	elements, _ := value.([]any)
	for _, element := range elements {
		if object, ok := element.(map[string]any); ok {
			do(object)
		}
	}
}

func same(a, b any) bool { return reflect.DeepEqual(a, b) }

// podOf returns the spec of the pods that an object makes, or nil.
func podOf(o Object) map[string]any {
	path := "spec.template.spec"
	switch o.GetKind() {
	case "Pod":
		path = "spec"
	case "CronJob":
		path = "spec.jobTemplate.spec.template.spec"
	}
	spec, _ := at(o, path).(map[string]any)
	return spec
}

// ratePods notes what pods may do on their node that they may not before, and images that are not
// pinned.
func (r rating) ratePods() {
	if r.change.Op == Delete {
		return
	}
	before := map[string]bool{}
	for _, right := range rightsOnNode(podOf(r.was)) {
		before[right] = true
	}
	for _, right := range rightsOnNode(podOf(r.is)) {
		if !before[right] {
			r.note(Risky, "the pods get more rights on their node: %s", right)
		}
	}
	old := images(podOf(r.was))
	for _, image := range images(podOf(r.is)) {
		if !slices.Contains(old, image) && !pinned(image) {
			r.note(Risky, "the image %s is not pinned: it may be another one at each start", image)
		}
	}
}

func containers(pod map[string]any, do func(map[string]any)) {
	each(pod["initContainers"], do)
	each(pod["containers"], do)
}

func images(pod map[string]any) []string {
	var found []string
	containers(pod, func(container map[string]any) {
		if image, ok := container["image"].(string); ok {
			found = append(found, image)
		}
	})
	return found
}

// exact is what tells the tag of a version or a commit from one that moves: a digit, or the end of
// a hash.
var exact = regexp.MustCompile(`[0-9]|\b[a-f]{7,40}$`)

// pinned reports whether an image has a digest, or a tag that names a version or a commit.
// Kubernetes warns of :latest, which is also the tag of an image without one (kubernetes.io,
// "Images").
func pinned(image string) bool {
	if strings.Contains(image, "@sha256:") {
		return true
	}
	_, tag, ok := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return ok && exact.MatchString(tag)
}

// rightsOnNode are what a pod may do that the Pod Security Standard "baseline" or "restricted"
// forbids (kubernetes.io, "Pod Security Standards").
func rightsOnNode(pod map[string]any) []string {
	var found []string
	for _, field := range []string{"hostNetwork", "hostPID", "hostIPC"} {
		if pod[field] == true {
			found = append(found, field)
		}
	}
	each(pod["volumes"], func(volume map[string]any) {
		if path, ok := volume["hostPath"].(map[string]any); ok {
			found = append(found, fmt.Sprintf("the host's path %v", path["path"]))
		}
	})
	ofPod, _ := pod["securityContext"].(map[string]any)
	containers(pod, func(container map[string]any) {
		context, _ := container["securityContext"].(map[string]any)
		name := container["name"]
		if context["privileged"] == true {
			found = append(found, fmt.Sprintf("%v is privileged", name))
		}
		if context["allowPrivilegeEscalation"] == true {
			found = append(found, fmt.Sprintf("%v may escalate its privileges", name))
		}
		nonRoot := context["runAsNonRoot"]
		if nonRoot == nil {
			nonRoot = ofPod["runAsNonRoot"]
		}
		if user := context["runAsUser"]; user == float64(0) || user == nil && ofPod["runAsUser"] == float64(0) {
			found = append(found, fmt.Sprintf("%v runs as root", name))
		} else if nonRoot == false {
			found = append(found, fmt.Sprintf("%v may run as root", name))
		}
		capabilities, _ := context["capabilities"].(map[string]any)
		added, _ := capabilities["add"].([]any)
		for _, capability := range added {
			found = append(found, fmt.Sprintf("%v has the capability %v", name, capability))
		}
	})
	return found
}

// rateRights notes rights that the change gives to users and service accounts of the cluster.
func (r rating) rateRights() {
	if r.is.GroupVersionKind().Group != rbac || r.change.Op == Delete {
		return
	}
	switch r.is.GetKind() {
	case "Role", "ClusterRole":
		old := rulesOf(r.was)
		var more []string
		for _, grant := range rulesOf(r.is) {
			if !slices.ContainsFunc(old, func(o right) bool { return o.covers(grant) }) {
				more = append(more, grant.String())
			}
		}
		if n := len(more) - mostRights; n > 0 {
			more = append(more[:mostRights], fmt.Sprintf("and %d more", n))
		}
		if len(more) > 0 {
			r.note(Risky, "gives more rights: %s", strings.Join(more, ", "))
		}
		for _, name := range slices.Sorted(maps.Keys(r.is.GetLabels())) {
			role, ok := strings.CutPrefix(name, rbac+"/aggregate-to-")
			if ok && r.is.GetLabels()[name] == "true" && r.was.GetLabels()[name] != "true" {
				r.note(Risky, "its rights become a part of the role %s", role)
			}
		}
		if rule := r.is.Object["aggregationRule"]; rule != nil && !same(rule, r.was.Object["aggregationRule"]) {
			r.note(Risky, "takes over the rights of other roles")
		}
	case "RoleBinding", "ClusterRoleBinding":
		old, _ := r.was.Object["subjects"].([]any)
		each(r.is.Object["subjects"], func(subject map[string]any) {
			if !slices.ContainsFunc(old, func(o any) bool { return same(o, any(subject)) }) {
				r.note(Risky, "gives %v %v the rights of %s %s", subject["kind"], subject["name"],
					text(r.is, "roleRef.kind"), text(r.is, "roleRef.name"))
			}
		})
	}
}

// mostRights bounds how many rights a reason names: a new role may have hundreds.
const mostRights = 6

// right is what one rule of a role allows, for one verb and one thing.
type right struct{ verb, group, resource, name, url string }

// String writes the right as people say it.
func (r right) String() string {
	if r.url != "" {
		return r.verb + " " + r.url
	}
	text := r.verb + " " + r.resource
	if r.group != "" {
		text += "." + r.group
	}
	if r.name != "" {
		text += " " + r.name
	}
	return text
}

// covers reports whether the right includes the other one (Kubernetes 1.35.0,
// pkg/apis/rbac/v1/evaluation_helpers.go).
func (r right) covers(other right) bool {
	matches := func(mine, its string) bool { return mine == "*" || mine == its }
	if !matches(r.verb, other.verb) {
		return false
	}
	if r.url != "" || other.url != "" {
		prefix, wild := strings.CutSuffix(r.url, "*")
		return r.url == other.url || wild && other.url != "" && strings.HasPrefix(other.url, prefix)
	}
	_, sub, _ := strings.Cut(other.resource, "/")
	return matches(r.group, other.group) && (matches(r.resource, other.resource) || sub != "" && r.resource == "*/"+sub) &&
		(r.name == "" || r.name == other.name)
}

// rulesOf returns the rights of a role, in the order of its rules.
func rulesOf(o Object) []right {
	var found []right
	each(o.Object["rules"], func(fields map[string]any) {
		var rule struct {
			Verbs, APIGroups, Resources, ResourceNames, NonResourceURLs []string
		}
		text, err := json.Marshal(fields)
		if err != nil || json.Unmarshal(text, &rule) != nil {
			return // the API server refuses it
		}
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, verb := range rule.Verbs {
			for _, url := range rule.NonResourceURLs {
				found = append(found, right{verb: verb, url: url})
			}
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, name := range names {
						found = append(found, right{verb, group, resource, name, ""})
					}
				}
			}
		}
	})
	return found
}
