package preflight

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// The built-in roles that matter to a deployer, by their GUIDs. Source: learn.microsoft.com, "Azure
// built-in roles".
const (
	owner                   = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	contributor             = "b24988ac-6180-42a0-ab88-20f7382dd24c"
	userAccessAdministrator = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"
	rbacAdministrator       = "f58310d9-a9f6-439a-9e8d-f62e7b41a168"
	reader                  = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
	locksContributor        = "28bf596f-4eb7-45ce-b5bc-6cf482fec137"
	policyContributor       = "36243c78-bf99-498c-9df9-86d9f8d28608"
)

// right is what a deployer may do only with one of some roles. Role Based Access Control
// Administrator is not one of them: it may manage the role assignments of Microsoft.Authorization,
// but not its locks and policies.
type right struct {
	verb  string
	role  string // the least role, by name
	roles []string
}

// rights returns what the environment asks for by its settings.
func (n Needs) rights() []right {
	var asked []right
	if n.DeleteLock {
		asked = append(asked, right{"creating locks", "Locks Contributor", []string{owner, userAccessAdministrator, locksContributor}})
	}
	if n.PodSecurity {
		asked = append(asked, right{
			"assigning policies", "Resource Policy Contributor", []string{owner, userAccessAdministrator, policyContributor},
		})
	}
	return asked
}

// judge returns whether one of the assignments gives the right. One with a condition does not
// count.
func (r right) judge(deployer, subscription string, list []assignment, strange bool) Check {
	const concern = "role"
	of := r.verb + ", by " + deployer
	for _, a := range list {
		unconditional := a.Properties.Condition == nil || *a.Properties.Condition == ""
		if slices.Contains(r.roles, roleOf(a)) && unconditional && covers(a.Properties.Scope, subscription) {
			return good(concern, of, r.role+" or more at "+a.Properties.Scope)
		}
	}
	remedy := "assign " + r.role + " at the subscription; a role that is only eligible has to be activated first"
	if strange {
		check := unclear(concern, of, "it has no role that is known")
		check.Remedy = remedy
		return check
	}
	return problem(concern, of, "no role that allows it", remedy)
}

// roleOf returns the GUID of the role that is assigned.
func roleOf(a assignment) string {
	_, id, _ := strings.Cut(strings.ToLower(a.Properties.RoleDefinitionID), "/roledefinitions/")
	return id
}

// assignment is an entry of "Role Assignments - List For Scope" (api-version 2022-04-01).
type assignment struct {
	Properties struct {
		RoleDefinitionID string  `json:"roleDefinitionId"`
		Scope            string  `json:"scope"`
		Condition        *string `json:"condition"`
	} `json:"properties"`
}

func (q asker) roles(ctx context.Context) []Check {
	const concern = "role"
	deployer := q.deployer
	if deployer == "" {
		var err error
		if deployer, err = q.azure.ObjectID(ctx, q.account); err != nil {
			check := unanswered(concern, "deployer", err)
			check.Remedy = "name the identity that will deploy with --deployer <object id>"
			return []Check{check}
		}
	}
	// The filter finds what is assigned to the groups of the deployer too. Source:
	// learn.microsoft.com, "List Azure role assignments using the REST API".
	items, err := q.list(ctx, q.path("/providers/Microsoft.Authorization/roleAssignments", "2022-04-01",
		"$filter", "atScope() and assignedTo('"+deployer+"')"), "value")
	if err != nil {
		return []Check{unanswered(concern, "deployer "+deployer, err)}
	}
	return q.needs.judgeRoles(q.subscription, deployer, items)
}

// judgeRoles returns whether the deployer may create resources, assign roles, and do what the
// settings ask for.
func (n Needs) judgeRoles(subscription, deployer string, items []json.RawMessage) []Check {
	const concern = "role"
	creates, assigns := "creating resources, by "+deployer, "assigning roles, by "+deployer
	list, whole := decoded[assignment](items)
	strange := !whole || len(list) == 0
	const none = "it has no role that is known"
	mayCreate, mayAssign := unclear(concern, creates, none), unclear(concern, assigns, none)
	for _, a := range list {
		if !covers(a.Properties.Scope, subscription) {
			strange = strange || a.Properties.Scope == ""
			continue
		}
		condition := ""
		if a.Properties.Condition != nil {
			condition = *a.Properties.Condition
		}
		id := roleOf(a)
		switch id {
		case owner, contributor:
			if condition == "" || id == owner {
				mayCreate = good(concern, creates, "Owner or Contributor at "+a.Properties.Scope)
			} else {
				strange = true
			}
		case userAccessAdministrator, rbacAdministrator, reader, locksContributor, policyContributor:
		default:
			strange = true
		}
		if (id == owner || id == userAccessAdministrator || id == rbacAdministrator) && mayAssign.State != Good {
			mayAssign = n.judgeCondition(assigns, a.Properties.Scope, condition)
		}
	}
	const alternatives = "Owner, or Contributor and User Access Administrator, at the subscription"
	refuse := func(check Check, found string) Check {
		if check.State == NotKnown && !strange {
			return problem(concern, check.Of, found, "assign "+alternatives+"; a role that is only eligible has to be activated first")
		}
		if check.State == NotKnown {
			check.Remedy = "see that the deployer has " + alternatives + ", or a role of your own that allows the same"
		}
		return check
	}
	mayCreate = refuse(mayCreate, "neither Owner nor Contributor")
	if mayAssign.Found != conditional {
		mayAssign = refuse(mayAssign, "none of Owner, User Access Administrator and Role Based Access Control Administrator")
	}
	checks := []Check{mayCreate, mayAssign}
	for _, r := range n.rights() {
		checks = append(checks, r.judge(deployer, subscription, list, strange))
	}
	return checks
}

// covers reports whether an assignment at scope is one for the whole subscription.
func covers(scope, subscription string) bool {
	scope = strings.ToLower(scope)
	return scope == "/" || scope == "/subscriptions/"+strings.ToLower(subscription) ||
		strings.HasPrefix(scope, "/providers/microsoft.management/managementgroups/")
}

// conditional is the finding when a condition cannot be judged.
const conditional = "a condition limits which roles may be assigned, and it is not the one of docs/INFRA_PIPELINE_SETUP.md"

var (
	guids = regexp.MustCompile(`\{[0-9a-f,-]+\}`)
	// conditions are the ones that allow assigning and removing only some roles: as
	// docs/INFRA_PIPELINE_SETUP.md and the portal write them, without spaces and in lower case. Any
	// other condition is not judged. Source: learn.microsoft.com, "Examples to delegate Azure role
	// assignment management with conditions".
	conditions = []string{
		`(!(actionmatches{'microsoft.authorization/roleassignments/write'})or` +
			`@request[microsoft.authorization/roleassignments:roledefinitionid]foranyofanyvalues:guidequals{})and` +
			`(!(actionmatches{'microsoft.authorization/roleassignments/delete'})or` +
			`@resource[microsoft.authorization/roleassignments:roledefinitionid]foranyofanyvalues:guidequals{})`,
		`((!(actionmatches{'microsoft.authorization/roleassignments/write'}))or` +
			`(@request[microsoft.authorization/roleassignments:roledefinitionid]foranyofanyvalues:guidequals{}))and` +
			`((!(actionmatches{'microsoft.authorization/roleassignments/delete'}))or` +
			`(@resource[microsoft.authorization/roleassignments:roledefinitionid]foranyofanyvalues:guidequals{}))`,
	}
)

// judgeCondition returns whether an assignment with this condition allows assigning all roles that
// the program assigns.
func (n Needs) judgeCondition(of, scope, condition string) Check {
	const concern = "role"
	if condition == "" {
		return good(concern, of, "without a condition, at "+scope)
	}
	text := strings.ToLower(strings.Join(strings.Fields(condition), ""))
	if !slices.Contains(conditions, guids.ReplaceAllString(text, "{}")) {
		check := unanswered(concern, of, errShape)
		check.Found, check.Remedy = conditional, "see that the condition allows the roles that docs/INFRA_PIPELINE_SETUP.md lists"
		return check
	}
	var missing []string
	for _, list := range guids.FindAllString(text, -1) {
		allowed := strings.Split(strings.Trim(list, "{}"), ",")
		for _, role := range n.Roles {
			if !slices.Contains(allowed, string(role)) && !slices.Contains(missing, string(role)) {
				missing = append(missing, string(role))
			}
		}
	}
	if len(missing) > 0 {
		return problem(concern, of, "the condition does not allow "+strings.Join(missing, ", "),
			"put these roles into the condition, as docs/INFRA_PIPELINE_SETUP.md has it")
	}
	return good(concern, of, "the roles that gridos-infra assigns, at "+scope)
}
