"""The admin site of this project, in the place of Django's."""

from django.contrib.admin import AdminSite


class PostbacksAdminSite(AdminSite):
    site_header = site_title = "Affiliate Postbacks"
    index_title = "Overview"
