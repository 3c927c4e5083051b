"""The S3 bucket that holds the functions' zips: private, encrypted, and the account's own."""

from dataclasses import dataclass
from typing import Any

from oncefold.aws.deploy.package import Package
from oncefold.aws.names import Names
from oncefold.core.errors import OncefoldError

_FIRST_REGION = "us-east-1"
"""The region that S3 takes for none being named, and refuses to be named."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket by its name; `owner` is the account that must own it, None for one that a person chose."""

    name: str
    region: str
    owner: str | None = None

    @classmethod
    def of_account(cls, account: str, region: str) -> "Bucket":
        """The bucket of an account and region where none was chosen."""
        return cls(f"oncefold-{account}-{region}", region, account)

    def exists(self, s3: Any) -> bool:
        """Whether it is there. Raises OncefoldError if it is somebody else's, or one that was chosen is missing."""
        try:
            s3.head_bucket(Bucket=self.name, **self._owned)
        except s3.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            if code in {"403", "AccessDenied"}:
                raise OncefoldError(
                    f"S3: the bucket {self.name} is not yours to use; name another one with --bucket"
                ) from None
            if code not in {"404", "NoSuchBucket"}:
                raise
            if self.owner is None:
                raise OncefoldError(
                    f"S3: there is no bucket {self.name}; make it, or leave --bucket out for one of its own"
                ) from None
            return False
        return True

    def make(self, s3: Any) -> None:
        """Create it: encrypted, and closed to the public."""
        place: dict[str, Any] = {"LocationConstraint": self.region}
        where = {} if self.region == _FIRST_REGION else {"CreateBucketConfiguration": place}
        s3.create_bucket(Bucket=self.name, **where)
        closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        s3.put_public_access_block(
            Bucket=self.name, PublicAccessBlockConfiguration=dict.fromkeys(closed, True), **self._owned
        )
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        s3.put_bucket_encryption(
            Bucket=self.name, ServerSideEncryptionConfiguration={"Rules": [rule]}, **self._owned
        )  # fmt: skip

    def put(self, key: str, package: Package, s3: Any) -> None:
        """Store a zip."""
        s3.put_object(Bucket=self.name, Key=key, Body=package.data, ContentType="application/zip", **self._owned)

    @property
    def _owned(self) -> dict[str, str]:
        return {} if self.owner is None else {"ExpectedBucketOwner": self.owner}


def key_of(package: Package, names: Names) -> str:
    """Where a stack's zip is kept: other contents, another key."""
    return f"{names.stack}/{package.sha256}.zip"
