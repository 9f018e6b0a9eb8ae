#!/bin/sh
# Creates Legwork's resources from template.yaml on the emulator that AWS_ENDPOINT_URL points to.
# It uses nothing that only one emulator has; `legwork up` does the same by itself.
set -eu

: "${AWS_ENDPOINT_URL:=http://localhost:4566}"
: "${AWS_ACCESS_KEY_ID:=test}" "${AWS_SECRET_ACCESS_KEY:=test}" "${AWS_DEFAULT_REGION:=us-east-1}"
export AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_DEFAULT_REGION

# LocalStack's image may have the command line only under its own name.
aws=$(command -v aws || command -v awslocal)
template=${1:-/etc/legwork/template.yaml}
packaged=$(mktemp)
trap 'rm -f "$packaged"' EXIT

# The functions are not deployed here, but the SAM transform wants to see their code in a bucket.
sed 's|CodeUri: target/lambda/\([a-z-]*\)/|CodeUri: s3://no-code/\1.zip|' "$template" >"$packaged"

"$aws" cloudformation deploy \
    --stack-name legwork \
    --template-file "$packaged" \
    --parameter-overrides DeployFunctions=false \
    --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND \
    --no-fail-on-empty-changeset

"$aws" cloudformation describe-stacks --stack-name legwork --query 'Stacks[0].Outputs' --output table
