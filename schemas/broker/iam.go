package broker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/aws"

	"github.com/gpumeter/gpumeter/schemas/secret"
)

// iam authenticates with AWS's credentials, which are looked for anew at each
// authentication: temporary ones are renewed by writing the file again. Roles of
// instances, web identities and SSO are not asked for: AWS's library, which can,
// has 14 modules and would add 3.2 MB to an agent that runs on every node.
func iam() (sasl.Mechanism, error) {
	if _, err := awsCredentials(); err != nil { // say it now, not at the first connection
		return nil, err
	}
	return aws.ManagedStreamingIAM(func(context.Context) (aws.Auth, error) { return awsCredentials() }), nil
}

// awsCredentials are those of the environment, or of the shared file.
func awsCredentials() (aws.Auth, error) {
	found := aws.Auth{
		AccessKey: os.Getenv("AWS_ACCESS_KEY_ID"), SecretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken: os.Getenv("AWS_SESSION_TOKEN"), UserAgent: "gpumeter",
	}
	if found.AccessKey == "" && found.SecretKey == "" {
		var err error
		if found, err = sharedCredentials(); err != nil {
			return aws.Auth{}, fmt.Errorf("sasl: AWS_MSK_IAM: AWS_ACCESS_KEY_ID is not set, and the shared file: %w", err)
		}
	}
	if found.AccessKey == "" || found.SecretKey == "" {
		return aws.Auth{}, errors.New("sasl: AWS_MSK_IAM: of access key and secret key only one is given")
	}
	return found, nil
}

// sharedCredentials reads the profile AWS_PROFILE, or default, of the file
// AWS_SHARED_CREDENTIALS_FILE, or ~/.aws/credentials.
func sharedCredentials() (aws.Auth, error) {
	path := os.Getenv("AWS_SHARED_CREDENTIALS_FILE")
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return aws.Auth{}, err
		}
		path = filepath.Join(home, ".aws", "credentials")
	}
	text, err := secret.Read(path)
	if err != nil {
		return aws.Auth{}, err
	}
	profile := os.Getenv("AWS_PROFILE")
	if profile == "" {
		profile = "default"
	}
	values, ok := section(text, profile)
	if !ok {
		return aws.Auth{}, fmt.Errorf("%s has no profile %q: set AWS_PROFILE", path, profile)
	}
	return aws.Auth{
		AccessKey: values["aws_access_key_id"], SecretKey: values["aws_secret_access_key"],
		SessionToken: values["aws_session_token"], UserAgent: "gpumeter",
	}, nil
}

// section finds the values of one section of an INI file.
func section(text []byte, name string) (values map[string]string, found bool) {
	values = map[string]string{}
	inside := false
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, secret.MaxBytes+1)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if head, ok := strings.CutPrefix(line, "["); ok {
			inside = strings.TrimSpace(strings.TrimSuffix(head, "]")) == name
			found = found || inside
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && inside && line[0] != '#' && line[0] != ';' {
			values[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
		}
	}
	return values, found
}
