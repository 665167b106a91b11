"""Commands that show the catalog and replace it from a file."""

import click

from giftpay.catalog_file import CatalogFileError, format_catalog, load_catalog
from giftpay.cli.fields import moment
from giftpay.cli.options import INT64, key_option, pass_session
from giftpay.cli.session import Session
from giftpay.cli.views import printed
from giftpay.v1 import (
    ApplyCatalogRequest,
    GetCatalogRequest,
    ListCoinPackagesRequest,
    ListGiftsRequest,
)

ALL = 1000  # more than these are not on sale


@click.group()
def catalog() -> None:
    """Show and replace the catalog."""


@catalog.command()
@click.option("--version", type=INT64, default=0, metavar="N", help="By default the current one.")
@pass_session
def show(session: Session, *, version: int) -> None:
    """Show the whole catalog as a file that `catalog apply` accepts."""
    with session.client() as client:
        answer = client.catalog.GetCatalog(GetCatalogRequest(version=version))
    if session.as_json:
        session.show(answer)
    else:
        applied = moment(answer.catalog.create_time)
        click.echo(f"# Version {answer.catalog.version}, since {applied} (UTC).")
        click.echo(format_catalog(answer.catalog), nl=False)


@catalog.command()
@click.argument("country")
@pass_session
def packages(session: Session, *, country: str) -> None:
    """List the coins sold in COUNTRY now, such as DE."""
    request = ListCoinPackagesRequest(country_code=country, page_size=ALL)
    with session.client() as client:
        answer = client.catalog.ListCoinPackages(request)
    session.show(answer)


@catalog.command()
@pass_session
def gifts(session: Session) -> None:
    """List the gifts."""
    with session.client() as client:
        answer = client.catalog.ListGifts(ListGiftsRequest(page_size=ALL))
    session.show(answer)


@catalog.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--expect-version", type=INT64, metavar="N", help="Only if this is the current one.")
@key_option
@pass_session
def apply(session: Session, *, file: str, expect_version: int | None, key: str | None) -> None:
    """Replace the whole catalog with that in FILE (TOML, as `catalog show` writes it)."""
    try:
        whole = load_catalog(file)
    except CatalogFileError as error:
        raise click.UsageError(printed(str(error))) from None
    request = ApplyCatalogRequest(catalog=whole, expected_version=expect_version)
    with session.client() as client:
        answer = client.catalog.ApplyCatalog(session.keyed(request, key))
    session.show(answer)
