package services

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

var (
	nodeSurge  = regexp.MustCompile(`^([1-9][0-9]*|([1-9][0-9]?|100)%)$`)
	nodeTaint  = regexp.MustCompile(`^[^=:]+(=[^:]*)?:(NoSchedule|PreferNoSchedule|NoExecute)$`)
	labelText  = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$`)
	ownLabels  = []string{"kubernetes.azure.com", "kubernetes.io", "k8s.io"}
	freeLabels = []string{"kubelet.kubernetes.io", "node.kubernetes.io"}
)

// mostNodes is how many nodes a pool can have.
const mostNodes = 1000

// poolLabels is K11: the labels of nodes are not in the namespaces of AKS and Kubernetes, and have
// the form of Kubernetes.
var poolLabels = arm.Rule{ID: "K11", Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
	return eachPool(s, func(path string, pool arm.Document) []arm.Finding {
		labels := pool.Document("nodeLabels")
		var result []arm.Finding
		for _, key := range slices.Sorted(maps.Keys(labels)) {
			namespace, name, found := strings.Cut(key, "/")
			if !found {
				namespace, name = "", key
			}
			value, _ := labels[key].(string)
			switch {
			case inNamespace(namespace, ownLabels) && !inNamespace(namespace, freeLabels):
				result = append(result, arm.Found(path+"nodeLabels", "Invalid node label key %s: the namespace %s is that of AKS and Kubernetes; "+
					"use one of your own", key, namespace)...)
			case name == "" || !labelText.MatchString(name) || !labelText.MatchString(value):
				result = append(result, arm.Found(path+"nodeLabels", "Node label '%s: %s' does not meet syntax and character specifications; "+
					"use up to 63 letters, digits, hyphens, underscores and periods, a letter or digit first and last", key, value)...)
			}
		}
		return result
	})
}}

// inNamespace says whether a namespace of labels is one of the others, or below one.
func inNamespace(namespace string, others []string) bool {
	return slices.ContainsFunc(others, func(other string) bool {
		return namespace == other || strings.HasSuffix(namespace, "."+other)
	})
}

// poolForm is K11: the settings of a pool must fit together.
var poolForm = arm.Rule{ID: "K11", Code: "InvalidParameter", Broken: func(s arm.Subject) []arm.Finding {
	return eachPool(s, func(path string, pool arm.Document) []arm.Finding {
		const surge = "upgradeSettings.maxSurge"
		var result []arm.Finding
		spot, system := pool.Text("scaleSetPriority") == "Spot", pool.Text("mode") == "System"
		switch text := pool.Text(surge); {
		case text == "":
		case spot:
			result = append(result, arm.Found(path+surge, "Spot pools can't set max surge; take it out")...)
		case !nodeSurge.MatchString(text):
			result = append(result, arm.Found(path+surge, "maxSurge is '%s'; use a number such as 5, or 1%% to 100%%", text)...)
		}
		const drain = "upgradeSettings.drainTimeoutInMinutes"
		if minutes, ok := pool.Number(drain); ok && minutes < 5 {
			result = append(result, arm.Found(path+drain, "drainTimeoutInMinutes is %g; use 5 to 1440", minutes)...)
		}
		if system && spot {
			result = append(result, arm.Found(path+"scaleSetPriority", "a pool of mode System cannot be of Spot machines; use Regular, or mode User")...)
		}
		// For a live pool in the cluster, another operating system is refused as a change.
		if system && pool.Text("osType") == "Windows" && (path == "" || s.Creating()) {
			result = append(result, arm.Found(path+"osType", "a pool of mode System runs Linux; set osType to Linux")...)
		}
		for _, name := range []string{"count", "minCount", "maxCount"} {
			least := 0.0
			if system {
				least = 1
			}
			if number, ok := pool.Number(name); ok && (number < least || number > mostNodes) {
				result = append(result, arm.Found(path+name, "%s is %g; use %g to %d", name, number, least, mostNodes)...)
			}
		}
		for i, taint := range pool.Texts("nodeTaints") {
			if !nodeTaint.MatchString(taint) {
				result = append(result, arm.Found(arm.Indexed(path+"nodeTaints", i), "'%s' is no taint; write it as key=value:NoSchedule, "+
					"with the effect NoSchedule, PreferNoSchedule or NoExecute", taint)...)
			}
		}
		return result
	})
}}

// longTermSupport is K4: the tier Premium and long-term support require each other.
var longTermSupport = arm.Rule{ID: "K4", Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
	if s.In.Unsure("sku") || s.In.Unsure("sku.tier") || s.In.Unsure("supportPlan") {
		return nil
	}
	premium, long := s.In.Text("sku.tier") == "Premium", s.In.Text("supportPlan") == "AKSLongTermSupport"
	if premium == long {
		return nil
	}
	return arm.Found("supportPlan", "the tier is '%s' and supportPlan is '%s'; Premium goes with AKSLongTermSupport, each other tier without it",
		s.In.Text("sku.tier"), s.In.Text("supportPlan"))
}}
