"""A CRM that speaks vtiger 8.2's web service at /webservice.php, with its documented traps."""

from sandbox.crm.app import DEFAULT_ACCESS_KEY, CrmApp, crm_app
from sandbox.crm.settings import Switches

__all__ = ["DEFAULT_ACCESS_KEY", "CrmApp", "Switches", "crm_app"]
