"""The model's decisions on what is sold, and on orders of it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from giftpay import v1

from tests.machine.state import State, missing, refused, stopped, too_young


def apply_catalog(state: State, request: v1.ApplyCatalogRequest) -> Any:
    before, after = state.catalog, deepcopy(request.catalog)
    if request.HasField("expected_version") and request.expected_version != before.version:
        return refused(
            "CATALOG_VERSION_CONFLICT",
            expected_version=request.expected_version,
            current_version=before.version,
        )
    for gift in before.gifts:
        if gift.gift_id not in {sold.gift_id for sold in after.gifts}:
            after.gifts.add(off_sale=True).MergeFrom(gift)
    for package in before.packages:
        if package.package_id not in {sold.package_id for sold in after.packages}:
            after.packages.add(off_sale=True).MergeFrom(package)
    if not same_catalog(before, after):
        after.version = before.version + 1
        state.catalog = after
    return v1.ApplyCatalogResponse(version=state.catalog.version)


def same_catalog(one: v1.Catalog, other: v1.Catalog) -> bool:
    """Whether they say the same, in whatever order, version and time apart."""
    return bool(_in_order(one) == _in_order(other))


def _in_order(catalog: v1.Catalog) -> v1.Catalog:
    ordered = deepcopy(catalog)
    ordered.ClearField("version")
    ordered.ClearField("create_time")
    ordered.gifts.sort(key=lambda gift: gift.gift_id)
    ordered.packages.sort(key=lambda package: package.package_id)
    return ordered


def create_top_up(state: State, request: v1.CreateTopUpRequest) -> Any:
    if no := missing(state, request.owner_id):
        return no
    owner, version = state.owners[request.owner_id], state.catalog.version
    if no := stopped(owner) or too_young(owner):
        return no
    named = {package.package_id: package for package in state.catalog.packages}
    package, package_id = named.get(request.package_id), request.package_id
    if package is None:
        return refused("UNKNOWN_PACKAGE", package_id=package_id, catalog_version=version)
    if package.off_sale:
        return refused("PACKAGE_OFF_SALE", package_id=package_id, catalog_version=version)
    if owner.country != "DE":
        return refused(
            "PACKAGE_NOT_SOLD_IN_COUNTRY", package_id=package_id, country_code=owner.country
        )
    top_up = v1.TopUp(
        top_up_id=request.idempotency_key,
        owner_id=owner.owner_id,
        package_id=package_id,
        provider=request.provider,
        price=package.price,
        coins=package.coins,
        state=v1.TOP_UP_STATE_PENDING,
        catalog_version=version,
    )
    state.top_ups[top_up.top_up_id] = top_up
    return v1.CreateTopUpResponse(top_up=top_up)


def confirm_top_up(state: State, request: v1.ConfirmTopUpRequest) -> Any:
    top_up, reference = state.top_ups.get(request.top_up_id), request.payment_reference
    if top_up is None:
        return refused("TOP_UP_NOT_FOUND", top_up_id=request.top_up_id)
    if top_up.state == v1.TOP_UP_STATE_PAID:
        if top_up.payment_reference == reference:
            return v1.ConfirmTopUpResponse(top_up=top_up)
        return refused("TOP_UP_STATE", top_up_id=top_up.top_up_id, state="PAID")
    if used := state.payments.get(reference):
        return refused("PAYMENT_REFERENCE_USED", payment_reference=reference, top_up_id=used)
    state.payments[reference] = top_up.top_up_id
    top_up.payment_reference = reference
    top_up.paid_after_cancel = top_up.state == v1.TOP_UP_STATE_CANCELLED
    top_up.state = v1.TOP_UP_STATE_PAID
    coins = state.owners[top_up.owner_id].coins
    coins.post(top_up.coins, request.idempotency_key, v1.SYSTEM_ACCOUNT_ISSUANCE)
    return v1.ConfirmTopUpResponse(top_up=top_up)


def cancel_top_up(state: State, request: v1.CancelTopUpRequest) -> Any:
    top_up = state.top_ups.get(request.top_up_id)
    if top_up is None:
        return refused("TOP_UP_NOT_FOUND", top_up_id=request.top_up_id)
    if top_up.state == v1.TOP_UP_STATE_PAID:
        return refused("TOP_UP_STATE", top_up_id=top_up.top_up_id, state="PAID")
    top_up.state = v1.TOP_UP_STATE_CANCELLED
    return v1.CancelTopUpResponse(top_up=top_up)
