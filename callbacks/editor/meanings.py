"""What a parameter or a placeholder is for, by its name, and which of our variables has that value."""

import re
from functools import lru_cache

CLICK_ID, PAYOUT, AMOUNT = "click id", "payout", "order amount"
ORDER, STATUS, CURRENCY = "transaction", "status", "currency"
COUPON, SUBTOTAL, REFUND, ITEMS, NEW_CUSTOMER = "coupon", "subtotal", "refund", "items", "new customer"
VARIABLE_OF = {
    CLICK_ID: "link.sub_id",
    PAYOUT: "order.commission",
    AMOUNT: "order.amount",
    ORDER: "order.number",
    STATUS: "order.status",
    CURRENCY: "order.currency",
    COUPON: "order.coupon",
    SUBTOTAL: "order.subtotal",
    REFUND: "order.refunded",
    ITEMS: "order.items",
    NEW_CUSTOMER: "customer.is_new",
}
# The names are written without punctuation. They are those of the trackers in `callbacks.editor.trackers` and of the
# affiliate networks whose URLs people paste.
MEANINGS: dict[str, str] = {
    name: meaning
    for meaning, names in (
        (
            CLICK_ID,
            "clickid click clickref affsub affclickid sub1 subid subid1 externalid s1 s2 clicksubid c1 xid xid1 sid",
        ),
        (
            CLICK_ID,
            "cid hit cnvid u1 dcrdid reqid requestid requestsessionid affclick visitid rtclickid cfclickid tblci epi",
        ),
        (
            CLICK_ID,
            "awc sscid aclid cjevent irclickid obclickid",
        ),
        (PAYOUT, "payout revenue sum affiliateearnings commissionamount commission price rev amt earnings profit"),
        (AMOUNT, "amount saleamount orderamount ordertotal total orderprice ordervalue value totalamount"),
        (ORDER, "transactionid transaction transid txid tid tx orderid order ordernumber orderno ref ord txnid"),
        (ORDER, "rdtkeventid conversionid"),
        (STATUS, "status goal eventtype et type cnvstatus orderstatus conversionstatus"),
        (CURRENCY, "currency cnvcurrency currencycode cur"),
        (COUPON, "coupon coupons couponcode couponcodes promocode orderpromocode voucher vouchercode discountcode"),
        (SUBTOTAL, "subtotal ordersubtotal"),
        (REFUND, "refund refunded refundamount amountrefunded refundedamount totalrefunded"),
        (ITEMS, "items itemcount itemscount numberofitems numitems"),
        (NEW_CUSTOMER, "isnewcustomer newcustomer customerisnew firsttimecustomer"),
    )
    for name in names.split()
}


@lru_cache(maxsize=2048)
def meaning_of(name: str) -> str:
    """What a placeholder or a parameter of this name is for; "" if that is not known."""
    return MEANINGS.get(without_punctuation(name), "")


def is_click_id(parameter: str) -> bool:
    """Whether a parameter of this name usually holds a click id."""
    return meaning_of(parameter) == CLICK_ID


def without_punctuation(name: str) -> str:
    """The letters and digits of a name, in lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
