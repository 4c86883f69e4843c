package monitoring

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/google/uuid"
	queries "github.com/pulumi/pulumi-azure-native-sdk/operationalinsights/v2/v20190901"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// saved has a file for each query. Its first line is a comment with the name of the query, and the
// comments that follow say what it answers.
//
//go:embed queries/*.kql
var saved embed.FS

// query is a saved query.
type query struct {
	// file is the name of its file without the extension, and name what people see.
	file, name, description, body string
}

// readQueries reads the files, in their order.
func readQueries() ([]query, error) {
	files, err := fs.Glob(saved, "queries/*.kql")
	if err != nil {
		return nil, err
	}
	var all []query
	for _, file := range files {
		text, err := saved.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var comments []string
		body := string(text)
		for strings.HasPrefix(body, "//") {
			comment, rest, _ := strings.Cut(body, "\n")
			comments = append(comments, strings.TrimSpace(strings.TrimPrefix(comment, "//")))
			body = rest
		}
		if len(comments) < 2 || strings.TrimSpace(body) == "" {
			return nil, fmt.Errorf("%s: a query begins with a comment of its name, comments that say what it answers, and has a text", file)
		}
		all = append(all, query{
			file: strings.TrimSuffix(path.Base(file), ".kql"), name: comments[0], description: strings.Join(comments[1:], " "),
			body: strings.TrimSpace(body),
		})
	}
	return all, nil
}

// saveQueries registers the queries in a pack. Azure's saved searches would need the present ETag
// for each change (Log Analytics REST API 2020-08-01, Saved Searches - Create Or Update), which
// azure-native does not send.
func (m *Monitoring) saveQueries(ctx *pulumi.Context, name string, args Args) error {
	all, err := readQueries()
	if err != nil {
		return err
	}
	pack, err := queries.NewQueryPack(ctx, name+"-queries", &queries.QueryPackArgs{
		ResourceGroupName: args.ResourceGroupName,
		QueryPackName:     pulumi.String(args.Names.QueryPack),
		Location:          pulumi.String(args.Location),
		Tags:              args.Tags,
	}, pulumi.Parent(m))
	if err != nil {
		return err
	}
	for _, q := range all {
		// The name of a query in Azure is a GUID. It is made of the file's name, so that another text
		// changes the query, and does not replace it.
		id := uuid.NewSHA1(uuid.NameSpaceURL, []byte(args.Names.QueryPack+"|"+q.file)).String()
		if _, err := queries.NewQuery(ctx, name+"-query-"+q.file, &queries.QueryArgs{
			ResourceGroupName: args.ResourceGroupName,
			QueryPackName:     pack.Name,
			Id:                pulumi.String(id),
			DisplayName:       pulumi.String(q.name),
			Description:       pulumi.String(q.description),
			Body:              pulumi.String(q.body),
		}, pulumi.Parent(m)); err != nil {
			return err
		}
	}
	return nil
}
